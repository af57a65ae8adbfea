// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// maxFrame is what a peer takes unless it says otherwise.
const maxFrame = 16384

// send writes the frames itself, so that anything can be in them.
func (h *HTTP2) send(conn net.Conn, values map[string]string, wait time.Duration) Answer {
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, conn)
	framer.AllowIllegalWrites, framer.AllowIllegalReads = true, true
	_ = framer.WriteSettings()
	body := expandValue(h.Body, values)
	writeBlock(framer, h.Headers, values, body == "" && len(h.Trailers) == 0)
	if body != "" {
		_ = framer.WriteData(1, len(h.Trailers) == 0, []byte(body))
	}
	if len(h.Trailers) > 0 {
		writeBlock(framer, h.Trailers, values, true)
	}
	_, _ = conn.Write(out.Bytes()) // a gateway may hang up before the end
	out.Reset()

	r := &reader2{framer: framer, out: &out, conn: conn}
	r.decoder = hpack.NewDecoder(4096, r.field)
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	for r.next() {
	}
	// A second answer belongs to a smuggled request; over HTTP/2 it has no stream to
	// come on, so nothing is waited for but what the upstream got.
	r.answer.Seen += r.body.String()
	r.answer.Reason = reasonOf(r.body.String())
	return r.answer
}

func writeBlock(framer *http2.Framer, fields [][2]string, values map[string]string, end bool) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: expandValue(field[0], values), Value: expandValue(field[1], values)})
	}
	first := block.Next(maxFrame)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: end, EndHeaders: block.Len() == 0})
	for block.Len() > 0 {
		more := block.Next(maxFrame)
		_ = framer.WriteContinuation(1, block.Len() == 0, more)
	}
}

// reader2 reads the answer.
type reader2 struct {
	framer  *http2.Framer
	out     *bytes.Buffer
	conn    net.Conn
	decoder *hpack.Decoder
	body    strings.Builder
	answer  Answer
}

func (r *reader2) field(f hpack.HeaderField) {
	r.answer.Seen += f.Name + ": " + f.Value + "\n"
	if f.Name == ":status" && r.answer.Status < 200 {
		r.answer.Status, _ = strconv.Atoi(f.Value)
	}
	if f.Name == "grpc-message" { // "… (reason)"
		if _, reason, ok := strings.Cut(f.Value, "%20("); ok {
			r.body.WriteString(`"reason":"` + strings.TrimSuffix(reason, ")") + `"`)
		}
	}
}

// next reads a frame, and reports whether more is to come.
func (r *reader2) next() bool {
	frame, err := r.framer.ReadFrame()
	if err != nil {
		return false
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			_ = r.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = r.framer.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		_, _ = r.decoder.Write(f.HeaderBlockFragment())
		if f.StreamEnded() {
			return false
		}
	case *http2.ContinuationFrame:
		_, _ = r.decoder.Write(f.HeaderBlockFragment())
	case *http2.DataFrame:
		r.body.Write(f.Data())
		if f.StreamEnded() {
			return false
		}
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		return false
	}
	_, err = io.Copy(r.conn, r.out)
	return err == nil
}
