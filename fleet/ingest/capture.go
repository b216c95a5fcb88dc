package ingest

import (
	"context"
	"errors"
	"fmt"

	"goproxytrace/analyze"
	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/fleet/rows"
	"goproxytrace/report"
)

// capture analyses a capture as analyze does.
func (r *Reader) capture(ctx context.Context, path, _ string, in *file, size int64, take Take, out *Outcome) {
	src, err := pcapfile.NewReader(in, max(size, 1))
	if err != nil {
		*out = r.unreadable(*out, err)
		return
	}
	defer src.Close()
	var bounded capture.Source = src
	if r.o.MaxBytes > 0 {
		bounded = &limit{Source: src, most: r.o.MaxBytes}
	}
	result, err := analyze.Run(ctx, bounded, analyze.Options{
		Settings: r.o.Settings, SettingsFrom: r.o.SettingsFrom, Targets: r.o.Settings.Hosts(),
		// Files are worked on side by side: each has one processor.
		OneByOne: true,
	})
	if result == nil {
		*out = r.unreadable(*out, err)
		return
	}
	defer result.Close()
	x := r.redactor()
	d := report.Build(result, report.Options{File: path, Version: r.o.Version, Redact: x, Interrupted: err != nil})
	switch {
	case result.Damage != nil:
		out.Status, out.Offset, out.Reason = rows.StatusDamaged, &result.Damage.Offset, result.Damage.Reason
	case err != nil:
		out.Status, out.Reason = rows.StatusDamaged, r.reason(err)
	}
	if err := take(0, in.hash(), d); err != nil {
		var own *takeError
		if !errors.As(err, &own) {
			*out = r.unreadable(*out, err)
		}
	}
}

// limit ends a capture after a number of bytes of packets: a few kilobytes of
// compressed data may hold terabytes.
type limit struct {
	capture.Source
	most, have int64
	packets    int64
}

func (l *limit) Read(b *capture.Batch) error {
	if l.have > l.most {
		b.Packets = b.Packets[:0]
		return &capture.DamageError{Packet: l.packets + 1, Reason: fmt.Sprintf("it holds more than the %d bytes of packets that are read of one file", l.most)}
	}
	err := l.Source.Read(b)
	for i := range b.Packets {
		l.have += int64(len(b.Packets[i].Data))
	}
	l.packets += int64(len(b.Packets))
	return err
}
