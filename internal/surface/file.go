// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// FileConfig configures a File.
type FileConfig struct {
	// Name is the path of the file. Where it is a symbolic link, it is followed at
	// each reading.
	Name string
	// Clock is the real one unless it is set.
	Clock clock.WithTicker
	// Log logs reloads and their errors.
	Log logr.Logger
	// Changed, if it is set, is called for each surface that is loaded, the first included,
	// and for each that is refused.
	Changed func(Change)
}

// Change is another surface, or one that was refused.
type Change struct {
	// Before and After are SHA-256 digests of the file's content in force, in
	// hexadecimal: before, and as it was found. They are empty where there was none.
	Before, After string
	// Rules is how many are in force now.
	Rules int
	// Err is why the surface was refused, and nil if it was taken.
	Err error
}

// File is a surface that follows a file: while Run runs, another content of the file
// replaces the Table, as a whole. What cannot be read, or is no surface, replaces
// nothing: the last good one stays in force.
type File struct {
	// Collector has its metrics.
	prometheus.Collector

	name    string
	clock   clock.WithTicker
	log     logr.Logger
	metrics *fileMetrics
	changed func(Change)
	table   atomic.Pointer[Table]

	// What follows belongs to Run.

	inForce []byte   // the content that the Table was made of
	last    reading  // the last one that was taken
	pending *reading // the first of one that is different, and may be half of a write

	settle, poll time.Duration
}

// reading is what a file was found to be.
type reading struct {
	at   time.Time
	data []byte
	err  error
}

func (r reading) same(other reading) bool {
	if r.err != nil || other.err != nil {
		return r.err != nil && other.err != nil && r.err.Error() == other.err.Error()
	}
	return bytes.Equal(r.data, other.data)
}

// Open reads a file that holds a surface. The file is not followed until Run runs.
func Open(config FileConfig) (*File, error) {
	data, err := readFile(config.Name)
	if err != nil {
		return nil, err
	}
	table, err := parseFile(config.Name, data)
	if err != nil {
		return nil, err
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	metrics := newFileMetrics()
	f := &File{
		Collector: metrics, metrics: metrics,
		name: config.Name, clock: config.Clock, log: config.Log.WithValues("file", config.Name),
		inForce: data, last: reading{data: data}, changed: config.Changed,
		settle: settleTime, poll: pollInterval,
	}
	f.table.Store(table)
	f.metrics.took(table, data, f.clock.Now())
	f.log.Info("surface loaded", "rules", table.Rules(), "sha256", fingerprint(data))
	f.notify(Change{After: fullDigest(data), Rules: table.Rules()})
	return f, nil
}

// Lookup is that of the Table in force. It neither locks nor allocates.
func (f *File) Lookup(caller Caller, method string, path Path) (*Rule, Outcome) {
	return f.table.Load().Lookup(caller, method, path)
}

// take loads what the file has become.
func (f *File) take(r reading) {
	f.last = r
	if r.err != nil {
		f.refuse(nil, r.err)
		return
	}
	if bytes.Equal(r.data, f.inForce) {
		f.metrics.successful.Set(1)
		f.log.Info("the surface file is the surface in force again", "rules", f.table.Load().Rules())
		return
	}
	table, err := parseFile(f.name, r.data)
	if err != nil {
		f.refuse(r.data, err)
		return
	}
	before := f.table.Swap(table)
	f.notify(Change{Before: fullDigest(f.inForce), After: fullDigest(r.data), Rules: table.Rules()})
	f.inForce = r.data
	f.metrics.reloads.WithLabelValues(resultSuccess).Inc()
	f.metrics.took(table, r.data, f.clock.Now())
	f.log.Info("surface replaced", "rules", table.Rules(), "rulesBefore", before.Rules(), "sha256", fingerprint(r.data))
}

// refuse reports, once for each error, that the file is not in force.
func (f *File) refuse(data []byte, err error) {
	change := Change{Before: fullDigest(f.inForce), Rules: f.table.Load().Rules(), Err: err}
	if data != nil {
		change.After = fullDigest(data)
	}
	f.notify(change)
	f.metrics.reloads.WithLabelValues(resultFailure).Inc()
	f.metrics.successful.Set(0)
	f.log.Error(err, "surface file refused, keeping the previous surface: correct the file",
		"rulesInForce", f.table.Load().Rules(), "sha256InForce", fingerprint(f.inForce))
}

func (f *File) notify(change Change) {
	if f.changed != nil {
		f.changed(change)
	}
}

// fullDigest is what sha256sum FILE prints.
func fullDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// fingerprint is how sha256sum FILE begins.
func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}
