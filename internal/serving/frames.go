// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

const (
	// streamBytes is what a stream of HTTP/2 takes by itself.
	streamBytes = 16 << 10
	// fieldFactor is how many bytes each byte of a header's block may take: one that names a
	// field of the table stands for a field of about 100. headerMost is the most that a header
	// takes, for each field counts as 32 bytes more than its text (RFC 9113, section 6.5.2).
	fieldFactor, headerMost = 100, 50 << 10
	// bodyFirst is what the first byte of a body takes, and bodyFactor what each takes that is
	// read to its end before anything is decided: its buffer grows by doubling. bodyMost is the
	// most of that: no more is read, and no more waits to be.
	bodyFirst, bodyFactor, bodyMost = 16 << 10, 3, 400 << 10
	// answerBytes is what an answer to a PING or to SETTINGS takes that was not sent yet.
	answerBytes = 200
)

// frames follows the frames of one direction of an HTTP/2 connection.
type frames struct {
	// header is of the frame that begins, as far as it has come.
	header [9]byte
	have   int
	// left is how much of its payload is still to come.
	left int
}

// follow calls begins with each frame that begins in p.
func (f *frames) follow(p []byte, begins func(kind http2.FrameType, flags http2.Flags, stream uint32, length int)) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, len(p))
			f.left -= n
			p = p[n:]
			continue
		}
		n := copy(f.header[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have < len(f.header) {
			return
		}
		f.have = 0
		f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
		begins(http2.FrameType(f.header[3]), http2.Flags(f.header[4]), binary.BigEndian.Uint32(f.header[5:])&(1<<31-1), f.left)
	}
}

// stream is what a stream takes, and since when.
type stream struct {
	header, body int64
	debt
}

// multiplex is what is known of a connection that speaks HTTP/2. The connection's owing guards
// it.
type multiplex struct {
	in, out frames
	streams map[uint32]*stream
	last    uint32
	// owed is what the streams owe whose answer has not been sent to its end.
	owed debt
	// reset is what those owe that the client has given up, until a handler returns: net/http
	// keeps the requests of some until then.
	reset debt
	// answers is how many answers wait to PINGs and SETTINGS, and what they owe.
	answers int
	waiting debt
	// letIn is how many of the streams were let in and are served.
	letIn int
}

// received takes frames in that the client has sent.
func (c *conn) received(p []byte) {
	m, now := c.multiplex, c.seconds()
	m.in.follow(p, func(kind http2.FrameType, flags http2.Flags, id uint32, length int) {
		s := m.streams[id]
		switch {
		case kind == http2.FrameHeaders && s == nil && id > m.last:
			m.last, s = id, &stream{}
			m.streams[id] = s
			m.grow(s, streamBytes+s.addHeader(length), now)
		case (kind == http2.FrameHeaders || kind == http2.FrameContinuation) && s != nil:
			m.grow(s, s.addHeader(length), now)
		case kind == http2.FrameData && s != nil:
			m.grow(s, s.addBody(length), now)
		case kind == http2.FrameRSTStream && s != nil:
			m.reset.add(s.debt)
			m.end(id, s)
		case (kind == http2.FramePing || kind == http2.FrameSettings) && flags&http2.FlagPingAck == 0:
			m.answers++
			m.waiting.owe(answerBytes, now)
		}
	})
}

// addHeader returns how many bytes more the header takes.
func (s *stream) addHeader(length int) int64 {
	more := min(int64(length)*fieldFactor, headerMost-s.header)
	s.header += more
	return more
}

// addBody returns how many bytes more the body takes.
func (s *stream) addBody(length int) int64 {
	more := int64(length) * bodyFactor
	if s.body == 0 && length > 0 {
		more += bodyFirst
	}
	more = min(more, bodyMost-s.body)
	s.body += more
	return more
}

// sent takes frames in that were sent to the client.
func (c *conn) sent(p []byte) {
	m := c.multiplex
	m.out.follow(p, func(kind http2.FrameType, flags http2.Flags, id uint32, _ int) {
		s := m.streams[id]
		switch {
		case s != nil && (kind == http2.FrameRSTStream || (kind == http2.FrameData || kind == http2.FrameHeaders) && flags&http2.FlagDataEndStream != 0):
			m.end(id, s)
			c.answered = true
		case kind == http2.FrameGoAway:
			c.leaveTurn() // no more may be read
		case (kind == http2.FramePing || kind == http2.FrameSettings) && flags&http2.FlagPingAck != 0 && m.answers > 0:
			m.waiting.pay(m.waiting.bytes / int64(m.answers))
			m.answers--
		}
	})
}

func (m *multiplex) grow(s *stream, bytes int64, now float64) {
	s.owe(bytes, now)
	m.owed.owe(bytes, now)
}

func (m *multiplex) end(id uint32, s *stream) {
	m.owed.sub(s.debt)
	delete(m.streams, id)
}

// served is called when a handler has returned, which had let its request in or not: net/http
// then drops what it has kept of streams that were reset.
func (m *multiplex) served(letIn bool) {
	m.reset = debt{}
	if letIn {
		m.letIn--
	}
}

// unsettled is what is owed: of those that were let in, which are not told apart, as much as
// of the others.
func (m *multiplex) unsettled() debt {
	d := m.owed
	if open := len(m.streams); open > 0 {
		d = d.times(float64(max(0, open-m.letIn)) / float64(open))
	}
	d.add(m.reset)
	d.add(m.waiting)
	return d
}

var preface = []byte(http2.ClientPreface)
