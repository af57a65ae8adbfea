// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is for how long a file has to be as it is before it is taken. Who
	// writes into it in place makes it half of what it is to be, and half a surface can
	// be one: without its last rules. A rename has no halves, but looks the same.
	settleTime = time.Second
	// pollInterval is how often a file is read although no event came: a watch does not
	// see through a symbolic link into another directory, for instance.
	pollInterval = 10 * time.Second
	// swapped is the link that the kubelet renames when it replaces the files of a
	// ConfigMap, all at once: they are links through it, and do not change themselves.
	swapped = "..data"
)

// Run follows the file until ctx is done. It never fails: where the file cannot be
// watched, it is still read at an interval.
func (f *File) Run(ctx context.Context) error {
	w := f.watch()
	defer w.close()
	ticker := f.clock.NewTicker(f.poll)
	defer ticker.Stop()

	settled := f.look() // what changed before there was a watch
	f.log.Info("watching the surface file", "interval", f.poll)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-settled:
			settled = f.look()
			continue
		case event, ok := <-w.events:
			if !ok {
				w.events = nil
				continue
			}
			if !f.concerns(event) {
				continue
			}
		case err, ok := <-w.errors:
			if !ok {
				w.errors = nil
				continue
			}
			f.log.Error(err, "the watch of the surface file failed, reading the file")
		case <-ticker.C():
			w.renew()
		}
		if settled == nil { // otherwise it is read soon
			settled = f.look()
		}
	}
}

// look reads the file, and takes it once it has been the same for settle. The channel says
// when to read again; it is nil if there is nothing to wait for.
func (f *File) look() <-chan time.Time {
	var now reading
	now.data, now.err = readFile(f.name)
	now.at = f.clock.Now()
	if now.same(f.last) {
		f.pending = nil
		return nil
	}
	if f.pending == nil || !now.same(*f.pending) {
		f.pending = &now
	}
	if wait := f.settle - f.clock.Since(f.pending.at); wait > 0 {
		return f.clock.After(wait)
	}
	f.pending = nil
	f.take(now)
	return nil
}

// concerns reports whether an event in the directory may have to do with the file.
func (f *File) concerns(event fsnotify.Event) bool {
	name := filepath.Base(event.Name)
	return name == filepath.Base(f.name) || name == swapped
}

// watch is one of the directory that a file is in: files are replaced by others of
// their name, and a watch of a file stays with the one that is gone.
type watch struct {
	directory string
	watcher   *fsnotify.Watcher
	events    <-chan fsnotify.Event
	errors    <-chan error
}

func (f *File) watch() *watch {
	w := &watch{directory: filepath.Dir(f.name)}
	var err error
	if w.watcher, err = fsnotify.NewWatcher(); err == nil {
		w.events, w.errors = w.watcher.Events, w.watcher.Errors
		err = w.watcher.Add(w.directory)
	}
	if err != nil {
		f.log.Error(err, "cannot watch the surface file, reading it at an interval", "interval", f.poll)
	}
	return w
}

// renew watches a directory that has replaced the one before. If there is none, that
// shows when the file is read.
func (w *watch) renew() {
	if w.watcher != nil {
		_ = w.watcher.Add(w.directory)
	}
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}
