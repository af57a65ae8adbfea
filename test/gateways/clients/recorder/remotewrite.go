// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"io"
	"math"
	"net/http"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
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
		http.Error(w, "not a whole message", statusClientClosed)
		return
	}
	written, err := ReadWriteRequest(compressed)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var items []Item
	for _, series := range written.Timeseries {
		labels := map[string]string{}
		for _, label := range series.Labels {
			labels[label.Name] = label.Value
		}
		if labels["__name__"] != NumberedMetric {
			continue // such as up
		}
		for _, sample := range series.Samples {
			// NaN is Prometheus' mark for a series that has ended.
			if !math.IsNaN(sample.Value) {
				items = append(items, Item{Stream: Stream{Client: labels[ClientLabel], Signal: Samples}, Number: int64(sample.Value)})
			}
		}
	}
	r.record(request.Context(), items)
	w.WriteHeader(http.StatusNoContent)
}

// ReadWriteRequest reads the body of a request of remote write.
func ReadWriteRequest(compressed []byte) (*prompb.WriteRequest, error) {
	data, err := snappy.Decode(nil, compressed)
	if err != nil {
		return nil, err
	}
	written := &prompb.WriteRequest{}
	return written, written.Unmarshal(data)
}
