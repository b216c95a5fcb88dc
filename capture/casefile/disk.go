package casefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	// reserve is what is kept free behind the last block for the statistics
	// and the record that say how a file ended, in bytes.
	reserve = 16 << 10
	// piece is how much is written with one call. File systems cache a call's
	// bytes in one piece of memory where they can. Up to this size Linux keeps
	// lately used ones at hand (PAGE_ALLOC_COSTLY_ORDER); larger ones are
	// memory that nobody has used in a while, if ever.
	piece = 32 << 10
	// ahead is how much is allocated in advance at once.
	ahead = 8 << 20
)

// ErrLimit says that a file has reached Options.MaxBytes.
var ErrLimit = errors.New("the size limit of the case file is reached")

var errRemoved = errors.New("the file was removed")

// disk is the file being written. It holds whole blocks only, apart from what
// a write that was cut short leaves for a moment.
type disk struct {
	f    *os.File
	path string
	// info tells the file from another that takes its name.
	info    fs.FileInfo
	regular bool
	// standard is true for standard output, which is not ours to close.
	standard bool
	// limit is the most the file may hold, in bytes, zero for no limit, and
	// atLimit the error when it would hold more.
	limit   int64
	atLimit error
	// most is the length that the file is expected to stay below, in bytes,
	// zero for none: no space is allocated beyond it until it is needed.
	most int64
	// end is the length of the file, allocated how far it has space; plain
	// is true where the file system allocates nothing in advance.
	end, allocated int64
	plain          bool
	saved          saved
}

func openDisk(path string, stdout *os.File) (*disk, error) {
	f, err := place(path, stdout)
	if err != nil {
		return nil, err
	}
	return newDisk(f, path, f == stdout)
}

func newDisk(f *os.File, path string, standard bool) (*disk, error) {
	d := &disk{f: f, path: path, standard: standard}
	var err error
	if d.info, err = f.Stat(); err != nil {
		d.close()
		return nil, err
	}
	// Standard output may be a file that others append to.
	d.regular = d.info.Mode().IsRegular() && !d.standard
	if d.regular {
		if limit, err := fileSizeLimit(); limit > 0 {
			d.limit, d.atLimit = limit, &fs.PathError{Op: "write", Path: path, Err: err}
		}
	}
	return d, nil
}

// cap lowers the limit.
func (d *disk) cap(limit int64) {
	if limit > 0 && (d.limit == 0 || limit < d.limit) {
		d.limit, d.atLimit = limit, ErrLimit
		d.most = limit
	}
}

// write appends blocks: all of them, or those that fit and an error. Some file
// systems take nothing of a write that does not fit, so that parts are tried
// down to a single block.
func (d *disk) write(blocks []byte) error {
	for len(blocks) > 0 {
		part := len(blocks)
		for {
			before := d.end
			err := d.room(int64(part))
			if err == nil {
				err = d.put(blocks[:part])
			}
			if err == nil {
				break
			}
			// What was written of it, as whole blocks, stays.
			done := int(d.end - before)
			blocks, part = blocks[done:], part-done
			half := whole(blocks, part/2)
			if half == 0 {
				half = next(blocks)
			}
			if !d.regular || half == 0 || half >= part {
				return err
			}
			part = half
		}
		blocks = blocks[part:]
	}
	return nil
}

// room makes sure that there is space for n bytes and the reserve.
func (d *disk) room(n int64) error {
	need := d.end + n + reserve
	switch {
	case !d.regular:
		return nil
	case d.limit > 0 && need > d.limit:
		return d.atLimit
	case d.plain || need <= d.allocated:
		return nil
	}
	most := need + ahead
	if d.most > 0 {
		most = max(need, min(most, d.most))
	}
	for _, until := range [...]int64{most, need} {
		err := allocate(d.f, d.allocated, until-d.allocated)
		switch {
		case err == nil:
			d.allocated = until
			return nil
		case noAllocation(err):
			d.plain = true
			return nil
		case until == need:
			return &fs.PathError{Op: "write", Path: d.path, Err: err}
		}
	}
	return nil
}

// put writes blocks; what was torn is cut off again.
func (d *disk) put(blocks []byte) error {
	if !d.regular {
		n, err := d.f.Write(blocks)
		keep := n
		if n < len(blocks) {
			keep = whole(blocks, n)
		}
		d.took(blocks[:keep])
		if err != nil && n > keep {
			d.untear(int64(n - keep))
		}
		return err
	}
	n, err := d.writeAt(blocks)
	if err == nil {
		d.took(blocks)
		return nil
	}
	d.took(blocks[:whole(blocks, n)])
	if cutErr := d.f.Truncate(d.end); cutErr != nil {
		err = fmt.Errorf("%w (and the torn block stays: %w)", err, cutErr)
	}
	return err
}

// writeAt writes b at the end, in pieces that end at multiples of their size in
// the file: a page that is written in two parts is looked up and cleared in between.
func (d *disk) writeAt(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		at := d.end + int64(n)
		var k int
		k, err = d.f.WriteAt(b[n:min(n+piece-int(at%piece), len(b))], at)
		n += k
	}
	return n, err
}

// untear cuts the torn bytes off where standard output is a file that ends
// with them; a pipe keeps them.
func (d *disk) untear(torn int64) {
	at, err := d.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return
	}
	if st, err := d.f.Stat(); err == nil && st.Mode().IsRegular() && st.Size() == at {
		_ = d.f.Truncate(at - torn)
	}
}

func (d *disk) took(blocks []byte) {
	d.end += int64(len(blocks))
	d.saved.add(blocks)
}

// retreat gives up the last blocks where nothing could be allocated in
// advance, until there is room for n bytes that say how the file ended.
func (d *disk) retreat(n int64) {
	if !d.plain {
		return
	}
	full := d.end
	for d.end > full-n {
		typ, size, _ := d.lastBlock(d.end)
		if size == 0 || typ == blockSection {
			break
		}
		d.end -= size
		switch typ {
		case blockInterface:
			d.saved.interfaces--
		case blockPacket, blockJournal:
			d.saved.frames--
		}
	}
	if d.end == full || d.f.Truncate(d.end) != nil {
		return
	}
	d.saved.until = 0
	for at := d.end; d.saved.until == 0; {
		_, size, time := d.lastBlock(at)
		if size == 0 {
			return
		}
		d.saved.until = time
		at -= size
	}
}

// lastBlock reads the block that ends at a place: its type, its length (zero
// where there is none), and its time if it takes a frame number.
func (d *disk) lastBlock(end int64) (typ uint32, size, time int64) {
	var b [64]byte
	if end < minBlock {
		return 0, 0, 0
	}
	// Blocks repeat their length at the end, for this.
	if _, err := d.f.ReadAt(b[:4], end-4); err != nil {
		return 0, 0, 0
	}
	size = int64(binary.LittleEndian.Uint32(b[:]))
	if size < minBlock || size > end {
		return 0, 0, 0
	}
	head := b[:min(size, int64(len(b)))]
	if _, err := d.f.ReadAt(head, end-size); err != nil {
		return 0, 0, 0
	}
	typ, time = blockTime(head)
	return typ, size, time
}

// finish writes the last blocks into the reserve, or none of them.
func (d *disk) finish(blocks []byte) {
	if !d.regular || len(blocks) > reserve {
		return
	}
	if _, err := d.f.WriteAt(blocks, d.end); err != nil {
		// There is nobody left to tell: the error that led here is told.
		_ = d.f.Truncate(d.end)
		return
	}
	d.end += int64(len(blocks))
}

// check finds out whether the file still has a name.
func (d *disk) check() error {
	if d.regular && removed(d.f) {
		return &fs.PathError{Op: "write", Path: d.path, Err: errRemoved}
	}
	return nil
}

// close gives back the space that was not needed.
func (d *disk) close() error {
	if d.standard {
		return nil
	}
	var err error
	if d.allocated > d.end {
		err = d.f.Truncate(d.end)
	}
	return errors.Join(err, d.f.Close())
}
