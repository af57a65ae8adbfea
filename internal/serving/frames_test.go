// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/net/http2"
	"k8s.io/utils/clock"
)

// talk is what frames are written to.
func talk(write func(*http2.Framer)) []byte {
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	framer.AllowIllegalWrites = true
	write(framer)
	return b.Bytes()
}

// However frames are split, the same is owed; and it is never less than nothing.
func FuzzFrames(f *testing.F) {
	f.Add(talk(func(f *http2.Framer) {
		_ = f.WriteSettings()
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("abc")})
		_ = f.WriteContinuation(1, true, make([]byte, 1000))
		_ = f.WriteData(1, false, make([]byte, 2000))
		_ = f.WriteRSTStream(1, http2.ErrCodeCancel)
		_ = f.WriteData(1, true, nil)
		_ = f.WritePing(false, [8]byte{})
	}), talk(func(f *http2.Framer) {
		_ = f.WriteSettingsAck()
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true})
		_ = f.WritePing(true, [8]byte{})
		_ = f.WriteGoAway(3, http2.ErrCodeNo, []byte("bye"))
		_ = f.WriteRSTStream(5, http2.ErrCodeCancel)
	}), uint8(1), uint8(1), uint8(0))
	f.Add([]byte{}, []byte{0, 0, 0}, uint8(3), uint8(9), uint8(7))
	l := Limit(nil, "fuzz", Limits{}, clock.RealClock{}, NewMetrics())
	f.Fuzz(func(t *testing.T, in, out []byte, piece, running, letIn uint8) {
		owed := func(size int) (debt, []uint32) {
			c := &conn{listener: l, multiplex: &multiplex{}}
			m := c.multiplex
			m.running, m.letIn = int(running), int(min(running, letIn))
			for p := range slices.Chunk(in, size) {
				c.received(p)
			}
			for p := range slices.Chunk(out, size) {
				c.sent(p)
			}
			for m.running > 0 {
				m.served(m.letIn > 0, c.seconds())
			}
			var ids []uint32
			for _, s := range m.streams {
				ids = append(ids, s.id)
			}
			return m.unsettled(), ids
		}
		whole, ids := owed(max(1, len(in), len(out)))
		split, same := owed(int(max(1, piece)))
		if whole.bytes != split.bytes || !slices.Equal(ids, same) {
			t.Errorf("%d bytes of %v are owed, or %d of %v", whole.bytes, ids, split.bytes, same)
		}
		if whole.bytes < 0 || !slices.IsSorted(ids) {
			t.Errorf("%d bytes are owed, of %v", whole.bytes, ids)
		}
	})
}
