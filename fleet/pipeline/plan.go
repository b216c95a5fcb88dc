package pipeline

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"goproxytrace/fleet/ingest"
	"goproxytrace/fleet/storage"
)

const (
	// chunkFiles is how many paths one list of the run holds.
	chunkFiles = 200
	// shardFiles is how many files one shard holds, where there are many: what
	// is done anew when a worker dies, and the rows of one part.
	shardFiles = 100
	// leastShards are made of fewer files, so that there is work for all.
	leastShards = 16
	// maxList bounds a file of the run that is read back.
	maxList = 256 << 20
)

// names within the output directory.
const (
	runDir      = "_run"
	planFile    = "run.json"
	keyFile     = "key"
	successFile = "_SUCCESS"
	// SummaryFile is the summary for programs.
	SummaryFile = "summary.json"
	// SummaryTable is the directory of the table summaries.
	SummaryTable = "summaries"
)

// Plan is what all workers of a run know of it. It is no secret and holds none.
type Plan struct {
	// Out is the output directory. Files counts the input's; they are listed in
	// Chunks files of the run, and dealt to Shards shards.
	Out    string
	Files  int
	Chunks int
	Shards int
	// Ingest says how files are read.
	Ingest ingest.Options
	// KeyPath is where every worker finds the key of the pseudonyms, KeyID what
	// the right one has: empty with Ingest.Whole.
	KeyPath string
	KeyID   string
	// Digest stands for all that rows depend on beside the files.
	Digest string
}

// Lanes is how many shards are worked on side by side in one process, and how
// many branches the pipeline has. It is no part of the plan: rows do not depend
// on it.
type Lanes struct {
	Branches int
	// AtOnce bounds the shards of one process.
	AtOnce int
}

// Request is what a run is to do.
type Request struct {
	// Paths are the files, as storage.List gives them.
	Paths []string
	Out   string
	// Ingest says how files are read. KeyPath names the key; empty for one that
	// is made for this run.
	Ingest  ingest.Options
	KeyPath string
	// Overwrite replaces the results of an earlier run; Resume goes on with one
	// that did not finish.
	Overwrite, Resume bool
}

// Errors of Prepare.
var (
	ErrExists     = errors.New("the output directory is not empty")
	ErrUnfinished = errors.New("the output directory holds a run that did not finish")
	ErrOther      = errors.New("the run that did not finish was another one")
)

// Prepare writes down what the run is to do, in its output directory.
func Prepare(ctx context.Context, r Request) (*Plan, error) {
	if len(r.Paths) == 0 {
		return nil, errors.New("there are no files")
	}
	paths := slices.Clone(r.Paths)
	for i, p := range paths {
		// Workers have directories of their own.
		if err := absolute(&paths[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	p := &Plan{
		Out: r.Out, Files: len(paths), Chunks: (len(paths) + chunkFiles - 1) / chunkFiles,
		Shards: max((len(paths)+shardFiles-1)/shardFiles, min(len(paths), leastShards)), Ingest: r.Ingest, KeyPath: r.KeyPath,
	}
	if err := absolute(&p.Out); err != nil {
		return nil, err
	}
	if p.KeyPath != "" {
		if err := absolute(&p.KeyPath); err != nil {
			return nil, err
		}
	}
	old, err := unfinished(ctx, p.Out)
	if err != nil {
		return nil, err
	}
	switch {
	case old != nil && r.Resume:
		return old.resume(ctx, p, paths)
	case r.Resume:
		return nil, fmt.Errorf("%s: there is no run to go on with", p.Out)
	case r.Overwrite:
		if err := Discard(ctx, p.Out); err != nil {
			return nil, err
		}
	case old != nil:
		return nil, fmt.Errorf("%s: %w", p.Out, ErrUnfinished)
	default:
		if there, err := inUse(ctx, p.Out); err != nil || there {
			return nil, errors.Join(err, fmt.Errorf("%s: %w", p.Out, ErrExists))
		}
	}
	if err := p.setKey(ctx); err != nil {
		return nil, err
	}
	p.Digest = p.digest(paths)
	for i := range p.Chunks {
		raw, err := marshalPaths(paths[i*chunkFiles : min((i+1)*chunkFiles, len(paths))])
		if err != nil {
			return nil, err
		}
		if err := storage.Write(ctx, p.chunkPath(i), raw); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return p, storage.Write(ctx, storage.Join(p.Out, runDir, planFile), raw)
}

func absolute(path *string) (err error) {
	if storage.IsLocal(*path) {
		*path, err = filepath.Abs(*path)
	}
	return err
}

// unfinished returns the plan of a run that did not finish, nil for none.
func unfinished(ctx context.Context, out string) (*Plan, error) {
	path := storage.Join(out, runDir, planFile)
	if there, err := storage.Exists(ctx, path); err != nil || !there {
		return nil, err
	}
	raw, err := storage.Read(ctx, path, maxList)
	if err != nil {
		return nil, err
	}
	p := new(Plan)
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// resume checks that the run to go on with is the one that was asked for.
func (p *Plan) resume(ctx context.Context, asked *Plan, paths []string) (*Plan, error) {
	asked.KeyID = p.KeyID
	if asked.KeyPath == "" {
		asked.KeyPath = p.KeyPath
	}
	if p.Digest != asked.digest(paths) {
		return nil, fmt.Errorf("%s: %w: other files, options or versions", p.Out, ErrOther)
	}
	if !p.Ingest.Whole {
		p.KeyPath = asked.KeyPath
		if _, err := p.key(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func inUse(ctx context.Context, out string) (bool, error) {
	if storage.IsLocal(out) {
		entries, err := os.ReadDir(out)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != lockFile }), err
	}
	for _, name := range []string{successFile, SummaryFile} {
		if there, err := storage.Exists(ctx, storage.Join(out, name)); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// setKey makes a key where none is given, and notes by what a key is known.
func (p *Plan) setKey(ctx context.Context) error {
	if p.Ingest.Whole {
		return nil
	}
	if p.KeyPath == "" {
		p.KeyPath = storage.Join(p.Out, runDir, keyFile)
		if err := storage.WriteSecret(ctx, p.KeyPath, NewKey()); err != nil {
			return err
		}
	}
	key, err := ReadKey(ctx, p.KeyPath)
	p.KeyID = keyID(key)
	return err
}

// NewKey returns a new key as a line of text.
func NewKey() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return []byte(hex.EncodeToString(b) + "\n")
}

// LeastKey is the least length of a key in bytes: pseudonyms made with one that
// can be guessed can be undone.
const LeastKey = 32

// ReadKey reads a key.
func ReadKey(ctx context.Context, path string) ([]byte, error) {
	raw, err := storage.Read(ctx, path, 1<<16)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	key := []byte(strings.TrimSpace(string(raw)))
	if len(key) < LeastKey {
		return nil, fmt.Errorf("key: %s holds %d bytes, fewer than %d", path, len(key), LeastKey)
	}
	return key, nil
}

// keyID returns by what a key is known, which says nothing about the key.
func keyID(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("goproxytrace-fleet: name of this key"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// key reads the key, and makes sure that it is the run's: another one would give
// other pseudonyms.
func (p *Plan) key(ctx context.Context) ([]byte, error) {
	if p.Ingest.Whole {
		return nil, nil
	}
	key, err := ReadKey(ctx, p.KeyPath)
	if err == nil && keyID(key) != p.KeyID {
		err = fmt.Errorf("key: %s is another one here than where the run was begun", p.KeyPath)
	}
	return key, err
}

// layout is part of all digests: it changes when the same files give other rows or
// parts.
const layout = 1

func (p *Plan) digest(paths []string) string {
	h := sha256.New()
	raw, _ := json.Marshal(p.Ingest) // has no member that fails
	fmt.Fprintf(h, "%d %s %s %d\n", layout, raw, p.KeyID, p.Shards)
	for _, path := range paths {
		fmt.Fprintf(h, "%q\n", path)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (p *Plan) chunkPath(i int) string {
	return storage.Join(p.Out, runDir, "files", fmt.Sprintf("%06d.json", i))
}

func (p *Plan) donePath(shard string) string {
	return storage.Join(p.Out, runDir, "done", shard+".json")
}

// Path returns the path of a file of the input by its place in the list.
func (p *Plan) Path(ctx context.Context, index int) (string, error) {
	list, err := p.chunk(ctx, index/chunkFiles)
	if err != nil {
		return "", err
	}
	if i := index % chunkFiles; index >= 0 && i < len(list) {
		return list[i], nil
	}
	return "", fmt.Errorf("there is no file number %d", index)
}

func (p *Plan) chunk(ctx context.Context, i int) ([]string, error) {
	raw, err := storage.Read(ctx, p.chunkPath(i), maxList)
	if err != nil {
		return nil, err
	}
	var list [][]byte
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", p.chunkPath(i), err)
	}
	out := make([]string, len(list))
	for i, path := range list {
		out[i] = string(path)
	}
	return out, nil
}

// marshalPaths keeps names of files as they are, which may be any bytes: JSON's
// strings are UTF-8.
func marshalPaths(paths []string) ([]byte, error) {
	list := make([][]byte, len(paths))
	for i, path := range paths {
		list[i] = []byte(path)
	}
	return json.Marshal(list)
}
