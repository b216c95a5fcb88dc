package main

import (
	"goproxytrace/analyze"
	"goproxytrace/redact"
	"goproxytrace/report"
	"goproxytrace/report/messages"
)

// documents are what is reported of one result, in each language that is
// asked for: programs read English, people their own; and redacted or not.
type documents struct {
	result  *analyze.Result
	options report.Options
	// title names the capture.
	title func(messages.Language) string
	// redactor is that of documents for others, nil where they are not
	// redacted either.
	redactor *redact.Redactor
	// read is the one there is where a report was read, in English; nil where
	// a result is there.
	read  *report.Document
	built map[documentKey]*report.Document
}

type documentKey struct {
	language messages.Language
	shared   bool
}

// documents prepares the documents of a result.
func (o *redaction) documents(r *analyze.Result, title func(messages.Language) string, options report.Options) (*documents, error) {
	x, err := o.redactor()
	if err != nil {
		return nil, err
	}
	if o.on {
		options.Redact = x
	}
	return &documents{result: r, title: title, options: options, redactor: x}, nil
}

// in returns the document in a language, as its user gets to see it.
func (d *documents) in(l messages.Language) *report.Document {
	return d.document(documentKey{l, false}, d.options.Redact)
}

// shared returns the document in a language as it is given to others.
func (d *documents) shared(l messages.Language) *report.Document {
	return d.document(documentKey{l, true}, d.redactor)
}

func (d *documents) document(key documentKey, r *redact.Redactor) *report.Document {
	if d.read != nil {
		return d.read
	}
	if doc := d.built[key]; doc != nil {
		return doc
	}
	o := d.options
	o.Language, o.File, o.Redact = key.language, d.title(key.language), r
	doc := report.Build(d.result, o)
	if d.built == nil {
		d.built = make(map[documentKey]*report.Document)
	}
	d.built[key] = doc
	return doc
}

// all returns the documents in all languages as they are given to others, first
// that in l.
func (d *documents) all(l messages.Language) []*report.Document {
	list := []*report.Document{d.shared(l)}
	for _, other := range messages.Languages {
		if other != l {
			list = append(list, d.shared(other))
		}
	}
	return list
}
