// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"cmp"
	"encoding/binary"
	"slices"

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
	// read to its end before anything is decided: its buffer grows by doubling, unless it comes
	// in one piece. bodyMost is the most of that: no more is read, and no more waits to be.
	bodyFirst, bodyFactor, wholeFactor, bodyMost = 16 << 10, 3, 2, 400 << 10
	// answerBytes is what an answer to a PING, to SETTINGS or to a frame of a stream that is no
	// more takes that was not sent yet.
	answerBytes = 200
	// mostAnswers is with how many net/http closes a connection (maxQueuedControlFrames).
	mostAnswers = 10_000
	// mostDelay is how long answers count as waiting, in seconds, while others are sent.
	mostDelay = 1
)

// frames follows the frames of one direction of an HTTP/2 connection.
type frames struct {
	frame
	// header is of the frame that begins, as far as it has come.
	header [9]byte
	have   int
	// left is how much of its payload is still to come.
	left int
}

// frame is one of them, without its payload.
type frame struct {
	kind   http2.FrameType
	flags  http2.Flags
	stream uint32
	length int
	// word is what its payload begins with, if it has come.
	word []byte
}

// follow calls ends with each frame that ends in p.
func (f *frames) follow(p []byte, ends func(frame)) {
	for len(p) > 0 {
		if f.have < len(f.header) {
			n := copy(f.header[f.have:], p)
			f.have += n
			if p = p[n:]; f.have < len(f.header) {
				return
			}
			f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
			f.frame = frame{
				kind: http2.FrameType(f.header[3]), flags: http2.Flags(f.header[4]),
				stream: binary.BigEndian.Uint32(f.header[5:]) & (1<<31 - 1), length: f.left, word: f.word[:0],
			}
		}
		n := min(f.left, len(p))
		f.word = append(f.word, p[:min(n, 4-len(f.word))]...)
		f.left -= n
		p = p[n:]
		if f.left == 0 {
			f.have = 0
			ends(f.frame)
		}
	}
}

// whole reports whether no frame has begun that has not ended.
func (f *frames) whole() bool { return f.have == 0 }

// stream is what a stream takes, and since when.
type stream struct {
	id           uint32
	header, body int64
	debt
}

// multiplex is what is known of a connection that speaks HTTP/2. The connection's owing guards
// it.
type multiplex struct {
	in, out frames
	// streams are those whose answer has not been sent to its end, in the order of their IDs.
	streams []*stream
	last    uint32
	// reset is what those owe that were given up, until their handlers have returned: net/http
	// keeps the requests of some until then.
	reset debt
	// pings, settings and resets are how many answers may wait to PINGs, to SETTINGS, and to
	// frames of streams that are no more; waits is since when any does.
	pings, settings, resets int
	waits                   float64
	// letIn is how many of the streams were let in and are served, and running how many are
	// served.
	letIn, running int
	// leaves: streams with IDs above last are ignored.
	leaves bool
}

// find returns the stream of an ID, and where it is.
func (m *multiplex) find(id uint32) (int, *stream) {
	i, ok := slices.BinarySearchFunc(m.streams, id, func(s *stream, id uint32) int { return cmp.Compare(s.id, id) })
	if !ok {
		return 0, nil
	}
	return i, m.streams[i]
}

// received takes frames in that the client has sent.
func (c *conn) received(p []byte) {
	m, now := c.multiplex, c.seconds()
	m.in.follow(p, func(f frame) {
		i, s := m.find(f.stream)
		switch {
		case f.kind == http2.FrameHeaders && s == nil && f.stream > m.last:
			if !m.leaves {
				m.last, s = f.stream, &stream{id: f.stream}
				m.streams = append(m.streams, s)
				s.owe(streamBytes+s.addHeader(f.length), now)
			}
		case (f.kind == http2.FrameHeaders || f.kind == http2.FrameContinuation) && s != nil:
			s.owe(s.addHeader(f.length), now)
		case f.kind == http2.FrameData && s != nil:
			s.owe(s.addBody(f), now)
		case f.kind == http2.FrameRSTStream && s != nil:
			m.giveUp(i)
		case f.kind == http2.FramePing && !f.flags.Has(http2.FlagPingAck):
			m.awaits(&m.pings, now)
		case f.kind == http2.FrameSettings && !f.flags.Has(http2.FlagSettingsAck):
			m.awaits(&m.settings, now)
		case f.kind == http2.FrameHeaders || f.kind == http2.FrameData:
			m.awaits(&m.resets, now)
		}
	})
}

// awaits counts one more answer that may wait.
func (m *multiplex) awaits(answers *int, now float64) {
	if m.pings+m.settings+m.resets == 0 {
		m.waits = now
	}
	*answers = min(*answers+1, mostAnswers)
}

// addHeader returns how many bytes more the header takes.
func (s *stream) addHeader(length int) int64 {
	more := min(int64(length)*fieldFactor, headerMost-s.header)
	s.header += more
	return more
}

// addBody returns how many bytes more the body takes.
func (s *stream) addBody(f frame) int64 {
	more := int64(f.length) * bodyFactor
	switch {
	case s.body == 0 && f.flags.Has(http2.FlagDataEndStream):
		more = int64(f.length) * wholeFactor
	case s.body == 0 && f.length > 0:
		more += bodyFirst
	}
	more = min(more, bodyMost-s.body)
	s.body += more
	return more
}

// sent takes frames in that were sent to the client.
func (c *conn) sent(p []byte) {
	m, now := c.multiplex, c.seconds()
	m.out.follow(p, func(f frame) {
		i, s := m.find(f.stream)
		switch {
		case f.kind == http2.FrameRSTStream && s != nil:
			m.giveUp(i)
		case f.kind == http2.FrameRSTStream:
			m.resets = max(0, m.resets-1)
		case (f.kind == http2.FrameData || f.kind == http2.FrameHeaders) && s != nil:
			if f.flags.Has(http2.FlagDataEndStream) {
				m.streams = slices.Delete(m.streams, i, i+1)
				c.answered = true
			}
		case f.kind == http2.FramePing && f.flags.Has(http2.FlagPingAck):
			// They are sent in the order in which they were caused.
			if m.pings = max(0, m.pings-1); m.pings == 0 {
				m.resets = 0
			}
		case f.kind == http2.FrameSettings && f.flags.Has(http2.FlagSettingsAck):
			m.settings = 0 // one may be for several
		case f.kind == http2.FrameGoAway && len(f.word) == 4:
			c.leaveTurn() // no more may be read
			m.leave(binary.BigEndian.Uint32(f.word) & (1<<31 - 1))
		}
	})
	// Not every frame is answered that may be, and what is counted in vain must not grow old.
	m.waits = max(m.waits, now-mostDelay)
}

// leave drops the streams that net/http ignores, once it has said so.
func (m *multiplex) leave(last uint32) {
	m.leaves = true
	m.streams = slices.DeleteFunc(m.streams, func(s *stream) bool { return s.id > last })
}

// giveUp ends a stream whose handler may go on.
func (m *multiplex) giveUp(i int) {
	m.reset.add(m.streams[i].debt)
	m.streams = slices.Delete(m.streams, i, i+1)
	m.forget()
}

// served is called when a handler has returned. What its stream still owes, if it was let in,
// it owes from now on.
func (m *multiplex) served(letIn bool, now float64) {
	m.running--
	if letIn {
		m.letIn--
		if m.letIn < len(m.streams) {
			s := m.streams[m.letIn]
			s.weight = float64(s.bytes) * now
		}
	}
	m.reset.pay(m.reset.bytes / int64(m.running+1))
	m.forget()
}

// forget drops what was given up once no handler can be one of those.
func (m *multiplex) forget() {
	if m.running <= m.letIn {
		m.reset = debt{}
	}
}

// unsettled is what is owed: by all streams but as many as were let in, which are the oldest,
// for those are what last.
func (m *multiplex) unsettled() debt {
	d := m.reset
	for _, s := range m.streams[min(m.letIn, len(m.streams)):] {
		d.add(s.debt)
	}
	d.owe(answerBytes*int64(m.pings+m.settings+m.resets), m.waits)
	return d
}

var preface = []byte(http2.ClientPreface)
