// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// maxFrame is what a peer takes unless it says otherwise.
	maxFrame = 16384
	// bigWindow is so large that no test fills it.
	bigWindow = 1 << 24
)

// Session is one end of a connection of HTTP/2. It sends what it is given, and takes
// what comes. What was written is sent when Next waits.
type Session struct {
	*http2.Framer

	out     *bufio.Writer
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
	fields  []Field
}

// Part is what comes at once of a stream: fields, or data, which is valid until the next.
type Part struct {
	Stream uint32
	Fields []Field
	Data   []byte
	// End is the end of the stream, as its peer has it; Reset is any other.
	End, Reset bool
}

// NewClient begins a connection.
func NewClient(conn io.ReadWriter) *Session {
	s := newSession(conn, conn)
	_, _ = s.out.WriteString(http2.ClientPreface)
	_ = s.WriteSettings()
	return s
}

func newSession(w io.Writer, r io.Reader) *Session {
	s := &Session{out: bufio.NewWriterSize(w, 8*maxFrame)}
	s.Framer = http2.NewFramer(s.out, r)
	s.AllowIllegalReads, s.AllowIllegalWrites = true, true
	s.encoder = hpack.NewEncoder(&s.block)
	s.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { s.fields = append(s.fields, Field{f.Name, f.Value}) })
	return s
}

// WriteMessage writes a whole stream. There need be no body, and no trailers.
func (s *Session) WriteMessage(stream uint32, fields []Field, body []byte, trailers []Field) {
	s.writeFields(stream, fields, len(body)+len(trailers) == 0)
	if len(body) > 0 {
		_ = s.WriteData(stream, len(trailers) == 0, body)
	}
	if len(trailers) > 0 {
		s.writeFields(stream, trailers, true)
	}
}

// writeFields writes HEADERS, and as many CONTINUATION as they need.
func (s *Session) writeFields(stream uint32, fields []Field, end bool) {
	for _, f := range fields {
		_ = s.encoder.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value})
	}
	first := s.block.Next(maxFrame)
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: s.block.Len() == 0})
	for s.block.Len() > 0 {
		more := s.block.Next(maxFrame)
		_ = s.WriteContinuation(stream, s.block.Len() == 0, more)
	}
}

// Next waits for the next part of any stream, and answers meanwhile what has to be
// answered. The error is io.EOF when the peer goes away.
func (s *Session) Next() (Part, error) {
	for {
		if err := s.out.Flush(); err != nil {
			return Part{}, err
		}
		frame, err := s.ReadFrame()
		if err != nil {
			return Part{}, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = s.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = s.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame:
			fields, err := s.readFields(f)
			return Part{Stream: f.StreamID, Fields: fields, End: f.StreamEnded()}, err
		case *http2.DataFrame:
			if n := len(f.Data()); n > 0 {
				_ = s.WriteWindowUpdate(0, uint32(n))
			}
			return Part{Stream: f.StreamID, Data: f.Data(), End: f.StreamEnded()}, nil
		case *http2.RSTStreamFrame:
			return Part{Stream: f.StreamID, Reset: true}, nil
		case *http2.GoAwayFrame:
			return Part{}, io.EOF
		}
	}
}

// readFields reads a block of fields to its end.
func (s *Session) readFields(frame http2.Frame) ([]Field, error) {
	s.fields = nil
	for {
		block, ok := frame.(interface {
			HeaderBlockFragment() []byte
			HeadersEnded() bool
		})
		if !ok {
			return nil, fmt.Errorf("%v within a block of fields", frame)
		}
		if _, err := s.decoder.Write(block.HeaderBlockFragment()); err != nil {
			return nil, err
		}
		if block.HeadersEnded() {
			return s.fields, s.decoder.Close()
		}
		var err error
		if frame, err = s.ReadFrame(); err != nil {
			return nil, err
		}
	}
}
