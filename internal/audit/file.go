// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// File is a file that lines are appended to. One that was renamed or removed, as
// logrotate does, is left for a new one of its name before the next line.
//
// A line that was written survives the end of the process. It is in the file's own
// storage when the kernel has written it there, or the File was closed or left: a
// machine that loses power may lose the last lines.
type File struct {
	name string
	file *os.File
	info os.FileInfo
	torn bool
}

// fileMode: what happened to whose key is for nobody else to read.
const fileMode = 0o600

// OpenFile opens a file to append to, and creates it if there is none.
func OpenFile(name string) (*File, error) {
	f := &File{name: name}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// Torn reports whether the file, when it was opened, ended in the middle of a line.
// That line was ended then.
func (f *File) Torn() bool { return f.torn }

// Write appends whole lines. It is for one goroutine at a time.
func (f *File) Write(data []byte) (int, error) {
	if f.replaced() {
		if err := f.Close(); err != nil {
			return 0, err
		}
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	return f.file.Write(data)
}

// Close has what was written stored.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Sync()
	if errors.Is(err, errors.ErrUnsupported) || notStored(f.info) {
		err = nil
	}
	err = errors.Join(err, f.file.Close())
	f.file = nil
	return err
}

// notStored reports whether a file is a pipe or a device, which nothing can be stored
// of.
func notStored(info os.FileInfo) bool { return !info.Mode().IsRegular() }

// replaced reports whether the name stands for another file, or for none.
func (f *File) replaced() bool {
	if f.file == nil { // it could not be opened again
		return true
	}
	info, err := os.Stat(f.name)
	return err != nil || !os.SameFile(info, f.info)
}

func (f *File) open() error {
	file, err := os.OpenFile(f.name, os.O_RDWR|os.O_CREATE|os.O_APPEND, fileMode) //nolint:gosec // The administrator names it.
	if err != nil {
		return fmt.Errorf("open audit trail: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open audit trail: %w", err), file.Close())
	}
	f.file, f.info = file, info
	f.torn = endsInALine(file, info)
	if f.torn {
		if _, err := io.WriteString(file, "\n"); err != nil {
			f.file = nil
			return errors.Join(fmt.Errorf("end the last line of the audit trail: %w", err), file.Close())
		}
	}
	return nil
}

// endsInALine reports whether what is in the file does not end with a newline.
func endsInALine(file *os.File, info os.FileInfo) bool {
	if notStored(info) || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err := file.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}
