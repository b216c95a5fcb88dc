package scrub

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"goproxytrace/capture/hostlog"
	"goproxytrace/capture/pcapfile"
	"goproxytrace/redact"
)

// everyRecord has one of each type.
var everyRecord = []hostlog.Record{
	&hostlog.Claim{}, &hostlog.Process{}, &hostlog.Exit{}, &hostlog.Attempt{}, &hostlog.Socket{}, &hostlog.Subject{}, &hostlog.Line{},
	&hostlog.Setting{}, &hostlog.Event{}, &hostlog.Block{}, &hostlog.Unread{},
}

// keptFields are texts that say nothing about whose they are.
var keptFields = map[string]bool{
	"Process.Name": true, "Setting.Name": true, "Setting.From": true, "Line.Stream": true, "Socket.State": true,
}

// TestEveryRecordIsKnown holds that a new type of record is listed above.
func TestEveryRecordIsKnown(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "capture", "hostlog", "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	known := map[string]bool{}
	for _, r := range everyRecord {
		known[reflect.TypeOf(r).Elem().Name()] = true
	}
	n := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "When" || fn.Recv == nil {
				continue
			}
			n++
			name := fn.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
			if !known[name] {
				t.Errorf("everyRecord of the type %s: are they scrubbed?", name)
			}
		}
	}
	if n != len(everyRecord) {
		t.Errorf("%d types of everyRecord were found, %d are listed", n, len(everyRecord))
	}
}

// TestEveryFieldIsScrubbed fills every field of every record with a secret.
func TestEveryFieldIsScrubbed(t *testing.T) {
	const secret, address = "quokka.marsupial.internal", "10.77.66.55"
	for _, r := range everyRecord {
		v := reflect.New(reflect.TypeOf(r).Elem())
		typ := v.Elem().Type()
		for i := range typ.NumField() {
			f := v.Elem().Field(i)
			name := typ.Name() + "." + typ.Field(i).Name
			switch {
			case f.Type() == reflect.TypeFor[netip.AddrPort]():
				f.Set(reflect.ValueOf(netip.MustParseAddrPort(address + ":443")))
			case typ.Field(i).Name == "Path":
				f.SetString("/home/quokka/marsupial/go") // whose last element is the program's name
			case f.Kind() == reflect.String && !keptFields[name]:
				f.SetString(secret)
			case f.Type() == reflect.TypeFor[[]string]():
				f.Set(reflect.ValueOf([]string{secret, secret}))
			case f.CanInt():
				f.SetInt(1)
			case f.CanUint():
				f.SetUint(1)
			}
		}
		record := v.Interface().(hostlog.Record)
		b, err := pcapfile.AppendJournal(nil, 1, hostlog.Fields(record))
		if err != nil {
			t.Fatal(err)
		}
		out := entry(redact.New(redact.Options{}), b)
		if out[hostlog.KindField] == "" {
			t.Errorf("%T: the record is lost", r)
		}
		for name, value := range out {
			if strings.Contains(value, "quokka") || strings.Contains(value, "marsupial") || strings.Contains(value, address) {
				t.Errorf("%T: %s holds %q", r, name, value)
			}
		}
	}
}

// Another program's entry keeps its number and nothing else.
func TestForeignEntries(t *testing.T) {
	for _, fields := range []map[string]string{
		{"MESSAGE": "quokka", "SYSLOG_IDENTIFIER": "quokka", "_HOSTNAME": "quokka"},
		{"_HOSTNAME": "quokka"},
		{hostlog.KindField: "of a later version", "GOPROXYTRACE_TEXT": "quokka"},
		{hostlog.KindField: "line", "GOPROXYTRACE_TIME": "no number", "GOPROXYTRACE_TEXT": "quokka"},
	} {
		b, err := pcapfile.AppendJournal(nil, 1, fields)
		if err != nil {
			t.Fatal(err)
		}
		out := entry(redact.New(redact.Options{}), b)
		for name, value := range out {
			if strings.Contains(value, "quokka") {
				t.Errorf("%s holds %q", name, value)
			}
		}
		if (fields["MESSAGE"] != "") != (out["MESSAGE"] != "") {
			t.Errorf("%v became %v", fields, out)
		}
	}
}
