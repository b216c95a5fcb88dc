package goproxy

import (
	"strings"
)

// SumDB is the checksum database that GOSUMDB names.
type SumDB struct {
	// Name is the database's name, a host with perhaps a path.
	Name string
	// Endpoint is where the go command reaches it without a proxy.
	Endpoint Endpoint
	// Explicit is true where GOSUMDB gives an address: proxies are then
	// not asked (cmd/go/internal/modfetch/sumdb.go, dbDial).
	Explicit bool
}

// SumDB reads GOSUMDB; ok is false for "off" and for what does not parse.
func (s Settings) SumDB() (db SumDB, ok bool) {
	fields := strings.Fields(s.GOSUMDB)
	if len(fields) == 0 || len(fields) > 2 || fields[0] == Off {
		return db, false
	}
	db.Name, _, _ = strings.Cut(fields[0], "+")
	address := "https://" + db.Name
	if db.Name == sumDBInChina && len(fields) == 1 {
		// An alias: the same database under another address.
		db.Name, db.Explicit = sumDBOfGo, true
	}
	if len(fields) == 2 {
		address, db.Explicit = fields[1], true
	}
	db.Endpoint, ok = parseURL(address)
	return db, ok
}

// SupportedPath is what a proxy is asked before anything of the database is
// fetched through it: 200 makes it the only way, 404 and 410 make the go
// command ask the next proxy and at last the database itself, anything else
// ends the download (cmd/go/internal/modfetch/sumdb.go, initBase).
func (db SumDB) SupportedPath() string { return "/sumdb/" + db.Name + "/supported" }
