// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// bigWindow is so large that no test fills it.
const bigWindow = 1 << 24

// stream is a request of HTTP/2 that is still coming.
type stream struct {
	request Request
	// headed: what comes now are trailers.
	headed bool
}

// session is one connection of HTTP/2.
type session struct {
	framer  *http2.Framer
	out     *bytes.Buffer
	encoder *hpack.Encoder
	encoded bytes.Buffer
	decoder *hpack.Decoder
	fields  []Field
	streams map[uint32]*stream
	// block is a header block that is not complete.
	block  []byte
	ending bool
}

// serve2 serves a connection whose preface has been read.
func (c *Conn) serve2(first *Request) error {
	s := &session{out: &bytes.Buffer{}, streams: map[uint32]*stream{}}
	s.framer = http2.NewFramer(s.out, c.Reader)
	s.framer.AllowIllegalReads, s.framer.AllowIllegalWrites = true, true
	s.encoder = hpack.NewEncoder(&s.encoded)
	s.encoder.SetMaxDynamicTableSizeLimit(0) // nginx wants none, and nobody minds
	s.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { s.fields = append(s.fields, Field{f.Name, f.Value}) })
	_ = s.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: bigWindow})
	_ = s.framer.WriteWindowUpdate(0, bigWindow)
	if first != nil { // that of an upgrade
		s.answer(1, first, c.server.handler(first, c))
	}
	for {
		if err := c.flush(s.out); err != nil {
			return err
		}
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return err
		}
		if err := s.take(c, frame); err != nil {
			return err
		}
	}
}

func (s *session) take(c *Conn, frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return s.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return s.framer.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		s.block, s.ending = append([]byte(nil), f.HeaderBlockFragment()...), f.StreamEnded()
		return s.headers(c, f.StreamID, f.HeadersEnded())
	case *http2.ContinuationFrame:
		s.block = append(s.block, f.HeaderBlockFragment()...)
		return s.headers(c, f.StreamID, f.HeadersEnded())
	case *http2.DataFrame:
		st := s.streams[f.StreamID]
		if st == nil {
			return nil
		}
		st.request.Body = append(st.request.Body, f.Data()...)
		if n := len(f.Data()); n > 0 {
			_ = s.framer.WriteWindowUpdate(0, uint32(n))
		}
		if f.StreamEnded() {
			s.finish(c, f.StreamID)
		}
	case *http2.GoAwayFrame:
		return io.EOF
	}
	return nil
}

func (s *session) headers(c *Conn, id uint32, complete bool) error {
	if !complete {
		return nil
	}
	s.fields = nil
	if _, err := s.decoder.Write(s.block); err != nil {
		return err
	}
	if err := s.decoder.Close(); err != nil {
		return err
	}
	st := s.streams[id]
	if st == nil {
		st = &stream{request: Request{Proto: "HTTP/2", Connection: c.number}}
		s.streams[id] = st
	}
	if st.headed {
		st.request.Trailers = s.fields
	} else {
		st.request.Fields, st.headed = s.fields, true
		st.request.Method, st.request.Target = st.request.First(":method"), st.request.First(":path")
	}
	if s.ending {
		s.finish(c, id)
	}
	return nil
}

func (s *session) finish(c *Conn, id uint32) {
	request := &s.streams[id].request
	delete(s.streams, id)
	s.answer(id, request, c.server.handler(request, c))
}

func (s *session) answer(id uint32, request *Request, response *Response) {
	if response == nil {
		_ = s.framer.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		return
	}
	body := response.Body
	if request.Method == "HEAD" {
		body = nil
	}
	s.writeFields(id, append([]Field{{":status", strconv.Itoa(response.Status)}}, response.Fields...), len(body) == 0 && len(response.Trailers) == 0)
	if len(body) > 0 || len(response.Trailers) > 0 {
		_ = s.framer.WriteData(id, len(response.Trailers) == 0, body)
	}
	if len(response.Trailers) > 0 {
		s.writeFields(id, response.Trailers, true)
	}
}

func (s *session) writeFields(id uint32, fields []Field, end bool) {
	s.encoded.Reset()
	for _, f := range fields {
		_ = s.encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	_ = s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.encoded.Bytes(), EndHeaders: true, EndStream: end})
}
