// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"os"
)

// File is a file that lines are appended to. Once it was renamed or removed, as logrotate does, the
// next line goes to a new file of its name.
//
// A line that was written survives the end of the process. It is on the disk once the kernel wrote
// it there, or the File was closed or rotated: a machine that loses power may lose the last lines.
type File struct {
	name string
	file *os.File
	info os.FileInfo
}

// OpenFile opens a file to append to, and creates it with mode 0600: what happened to whose key is
// for nobody else to read.
func OpenFile(name string) (*File, error) {
	f := &File{name: name}
	return f, f.open()
}

// Write appends whole lines. It is for one goroutine at a time.
func (f *File) Write(data []byte) (int, error) {
	info, err := os.Stat(f.name)
	if f.file == nil || err != nil || !os.SameFile(info, f.info) {
		if err := errors.Join(f.Close(), f.open()); err != nil {
			return 0, err
		}
	}
	return f.file.Write(data)
}

// Close stores what was written on the disk.
func (f *File) Close() (err error) {
	if f.file == nil {
		return nil
	}
	if f.info.Mode().IsRegular() { // a pipe or a device stores nothing
		err = f.file.Sync()
	}
	err = errors.Join(err, f.file.Close())
	f.file = nil
	return err
}

func (f *File) open() (err error) {
	if f.file, err = os.OpenFile(f.name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		f.file = nil
		return fmt.Errorf("open audit trail: %w", err)
	}
	if f.info, err = f.file.Stat(); err == nil && f.info.Mode().IsRegular() && f.info.Size() > 0 {
		// A process that died while it wrote left a piece of a line: end it.
		last := make([]byte, 1)
		if _, err = f.file.ReadAt(last, f.info.Size()-1); err == nil && last[0] != '\n' {
			_, err = f.file.Write([]byte("\n"))
		}
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("open audit trail: %w", err), f.file.Close())
		f.file = nil
	}
	return err
}
