// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"

	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // so that clients may compress
	"google.golang.org/protobuf/proto"
)

// NumberAttribute is the attribute that numbers spans and log records. The number of a
// data point is its value.
const NumberAttribute = "number"

// NumberedMetric is the name of the metric whose data points are counted. Others, such
// as a client's own, are not.
const NumberedMetric = "numbered"

// newOTLP serves OTLP over gRPC and over HTTP, with bodies in protobuf:
// https://opentelemetry.io/docs/specs/otlp/
func (r *Recorder) newOTLP() http.Handler {
	services := grpc.NewServer()
	tracepb.RegisterTraceServiceServer(services, traceService{r: r})
	metricspb.RegisterMetricsServiceServer(services, metricsService{r: r})
	logspb.RegisterLogsServiceServer(services, logsService{r: r})

	paths := http.NewServeMux()
	paths.Handle("POST /v1/traces", export(r, traceService{r: r}.Export))
	paths.Handle("POST /v1/metrics", export(r, metricsService{r: r}.Export))
	paths.Handle("POST /v1/logs", export(r, logsService{r: r}.Export))
	paths.HandleFunc("/", func(w http.ResponseWriter, request *http.Request) {
		r.fault("%s %s is not in the surface", request.Method, request.URL.Path)
		http.NotFound(w, request)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.ProtoMajor == 2 && strings.HasPrefix(request.Header.Get("Content-Type"), "application/grpc") {
			services.ServeHTTP(w, request)
			return
		}
		paths.ServeHTTP(w, request)
	})
}

// message is a protobuf message that is also a pointer to T.
type message[T any] interface {
	proto.Message
	*T
}

// export is one path of OTLP over HTTP.
func export[Request, Response any, Q message[Request], P message[Response]](r *Recorder, call func(context.Context, Q) (P, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body := io.Reader(request.Body)
		if request.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(request.Body)
			if err != nil {
				r.fault("%s: %v", request.URL.Path, err)
				http.Error(w, "not gzip", http.StatusBadRequest)
				return
			}
			body = unzipped
		}
		data, err := io.ReadAll(body)
		var question Q = new(Request)
		if err == nil {
			err = proto.Unmarshal(data, question)
		}
		if err != nil {
			// A client that went away in the middle is none of what is counted here: what
			// it did not send whole has not arrived.
			http.Error(w, "not a whole message", http.StatusBadRequest)
			return
		}
		answer, err := call(request.Context(), question)
		if err == nil {
			data, err = proto.Marshal(answer)
		}
		if err != nil {
			r.fault("%s: %v", request.URL.Path, err)
			http.Error(w, "cannot answer", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(data)
	})
}

type traceService struct {
	tracepb.UnimplementedTraceServiceServer

	r *Recorder
}

func (s traceService) Export(ctx context.Context, request *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	var items []Item
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				items = s.r.append(items, Traces, resource.GetResource(), numberOf(span.GetAttributes()))
			}
		}
	}
	s.r.record(ctx, items)
	return &tracepb.ExportTraceServiceResponse{}, nil
}

type metricsService struct {
	metricspb.UnimplementedMetricsServiceServer

	r *Recorder
}

func (s metricsService) Export(ctx context.Context, request *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	var items []Item
	for _, resource := range request.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				if metric.GetName() != NumberedMetric {
					continue
				}
				for _, point := range metric.GetGauge().GetDataPoints() {
					items = s.r.append(items, Metrics, resource.GetResource(), point.GetAsInt())
				}
			}
		}
	}
	s.r.record(ctx, items)
	return &metricspb.ExportMetricsServiceResponse{}, nil
}

type logsService struct {
	logspb.UnimplementedLogsServiceServer

	r *Recorder
}

func (s logsService) Export(ctx context.Context, request *logspb.ExportLogsServiceRequest) (*logspb.ExportLogsServiceResponse, error) {
	var items []Item
	for _, resource := range request.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				items = s.r.append(items, Logs, resource.GetResource(), numberOf(record.GetAttributes()))
			}
		}
	}
	s.r.record(ctx, items)
	return &logspb.ExportLogsServiceResponse{}, nil
}

// append adds an item, if it is one.
func (r *Recorder) append(items []Item, signal Signal, resource *resourcepb.Resource, number int64) []Item {
	client := ""
	for _, attribute := range resource.GetAttributes() {
		if attribute.GetKey() == "service.name" {
			client = attribute.GetValue().GetStringValue()
		}
	}
	if client == "" || number < 1 {
		r.fault("%s without a number, or from nobody: %q, %d", signal, client, number)
		return items
	}
	return append(items, Item{Stream: Stream{Client: client, Signal: signal}, Number: number})
}

// numberOf returns 0 if there is none.
func numberOf(attributes []*commonpb.KeyValue) int64 {
	for _, attribute := range attributes {
		if attribute.GetKey() == NumberAttribute {
			return attribute.GetValue().GetIntValue()
		}
	}
	return 0
}
