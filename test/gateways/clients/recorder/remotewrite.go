// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// RemoteWritePath is where Prometheus sends to.
const RemoteWritePath = "/api/v1/write"

// ClientLabel is the label by which a Prometheus names itself. The number of a sample is
// its value.
const ClientLabel = "client"

// serveRemoteWrite takes in one request of Prometheus' remote write 1.0:
// https://prometheus.io/docs/specs/prw/remote_write_spec/
func (r *Recorder) serveRemoteWrite(w http.ResponseWriter, request *http.Request) {
	compressed, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, "not a whole message", http.StatusBadRequest)
		return
	}
	series, err := ReadSeries(compressed)
	if err != nil {
		r.fault("%s: %v", request.URL.Path, err)
		http.Error(w, "not a write request", http.StatusBadRequest)
		return
	}
	var items []Item
	for _, one := range series {
		if one.Labels["__name__"] != NumberedMetric {
			continue // such as up
		}
		for _, value := range one.Values {
			// NaN is Prometheus' mark for a series that has ended.
			if !math.IsNaN(value) {
				items = append(items, Item{Stream: Stream{Client: one.Labels[ClientLabel], Signal: Samples}, Number: int64(value)})
			}
		}
	}
	r.record(request.Context(), items)
	w.WriteHeader(http.StatusNoContent)
}

// Series is a TimeSeries of a WriteRequest. There are as many Times, in milliseconds, as
// Values.
type Series struct {
	Labels map[string]string
	Values []float64
	Times  []int64
}

// ReadSeries reads a prometheus.WriteRequest. The few fields that matter are read by
// hand, since Prometheus' own types would bring all of Prometheus along.
func ReadSeries(compressed []byte) ([]Series, error) {
	data, err := snappy.Decode(nil, compressed)
	if err != nil {
		return nil, err
	}
	var all []Series
	err = eachField(data, func(number int, value []byte, _ uint64) error {
		if number != 1 { // timeseries
			return nil
		}
		one := Series{Labels: map[string]string{}}
		err := eachField(value, func(number int, value []byte, _ uint64) error {
			switch number {
			case 1: // labels
				return one.readLabel(value)
			case 2: // samples
				return one.readSample(value)
			default:
				return nil
			}
		})
		all = append(all, one)
		return err
	})
	return all, err
}

func (s *Series) readLabel(data []byte) error {
	var name, text string
	err := eachField(data, func(number int, value []byte, _ uint64) error {
		switch number {
		case 1:
			name = string(value)
		case 2:
			text = string(value)
		}
		return nil
	})
	s.Labels[name] = text
	return err
}

func (s *Series) readSample(data []byte) error {
	var value float64
	var milliseconds int64
	err := eachField(data, func(number int, _ []byte, bits uint64) error {
		switch number {
		case 1:
			value = math.Float64frombits(bits)
		case 2:
			milliseconds = int64(bits)
		}
		return nil
	})
	// Protobuf leaves out what is 0.
	s.Values, s.Times = append(s.Values, value), append(s.Times, milliseconds)
	return err
}

// eachField calls visit for each field of a message, with its bytes or its number.
func eachField(data []byte, visit func(number int, value []byte, bits uint64) error) error {
	for len(data) > 0 {
		number, kind, length := protowire.ConsumeTag(data)
		if length < 0 {
			return protowire.ParseError(length)
		}
		data = data[length:]
		var value []byte
		var bits uint64
		switch kind {
		case protowire.BytesType:
			value, length = protowire.ConsumeBytes(data)
		case protowire.Fixed64Type:
			bits, length = protowire.ConsumeFixed64(data)
		case protowire.VarintType:
			bits, length = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType:
			return fmt.Errorf("field %d is of wire type %d, which a write request has none of", number, kind)
		default:
			return errors.New("unknown wire type")
		}
		if length < 0 {
			return protowire.ParseError(length)
		}
		data = data[length:]
		if err := visit(int(number), value, bits); err != nil {
			return err
		}
	}
	return nil
}
