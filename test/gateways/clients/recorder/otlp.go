// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"context"

	"connectrpc.com/connect"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// NumberAttribute is the attribute that numbers spans and log records. The number of a
// data point is its value.
const NumberAttribute = "number"

// NumberedMetric is the name of the metric whose data points are counted. Others, such
// as a client's own, are not.
const NumberedMetric = "numbered"

// handleOTLP serves OTLP over gRPC and over HTTP, with bodies in protobuf:
// https://opentelemetry.io/docs/specs/otlp/
func (r *Recorder) handleOTLP() {
	handleExport(r, "/v1/traces", tracepb.TraceService_Export_FullMethodName, spans)
	handleExport(r, "/v1/metrics", metricspb.MetricsService_Export_FullMethodName, dataPoints)
	handleExport(r, "/v1/logs", logspb.LogsService_Export_FullMethodName, logRecords)
}

// handleExport serves one signal at its path for HTTP, and as a method for gRPC. To
// connect they are two of the protocols of one call: OTLP over HTTP is connect's own,
// but for what it calls protobuf.
func handleExport[Request any](r *Recorder, path, method string, read func(*Request) []Item) {
	export := connect.NewUnaryHandlerSimple(method, func(ctx context.Context, request *Request) (*emptypb.Empty, error) {
		r.record(ctx, read(request))
		return &emptypb.Empty{}, nil // in protobuf, this is any response that has nothing to say
	}, connect.WithCodec(xProtobuf{}))
	r.paths.Handle("POST "+path, export)
	r.paths.Handle("POST "+method, export)
}

// xProtobuf is connect's codec of protobuf, under the name application/x-protobuf.
type xProtobuf struct{}

func (xProtobuf) Name() string { return "x-protobuf" }

func (xProtobuf) Marshal(message any) ([]byte, error) { return proto.Marshal(message.(proto.Message)) }

func (xProtobuf) Unmarshal(data []byte, message any) error {
	return proto.Unmarshal(data, message.(proto.Message))
}

func spans(request *tracepb.ExportTraceServiceRequest) (items []Item) {
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				items = append(items, newItem(Traces, resource.GetResource(), numberOf(span.GetAttributes())))
			}
		}
	}
	return items
}

func dataPoints(request *metricspb.ExportMetricsServiceRequest) (items []Item) {
	for _, resource := range request.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				if metric.GetName() != NumberedMetric {
					continue
				}
				for _, point := range metric.GetGauge().GetDataPoints() {
					items = append(items, newItem(Metrics, resource.GetResource(), point.GetAsInt()))
				}
			}
		}
	}
	return items
}

func logRecords(request *logspb.ExportLogsServiceRequest) (items []Item) {
	for _, resource := range request.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				items = append(items, newItem(Logs, resource.GetResource(), numberOf(record.GetAttributes())))
			}
		}
	}
	return items
}

// newItem takes the client's name from the resource.
func newItem(signal Signal, resource *resourcepb.Resource, number int64) Item {
	return Item{Stream: Stream{Client: valueOf("service.name", resource.GetAttributes()).GetStringValue(), Signal: signal}, Number: number}
}

// numberOf returns 0 if there is none.
func numberOf(attributes []*commonpb.KeyValue) int64 {
	return valueOf(NumberAttribute, attributes).GetIntValue()
}

// valueOf returns nil, of which every value is zero, if there is none.
func valueOf(name string, attributes []*commonpb.KeyValue) *commonpb.AnyValue {
	for _, attribute := range attributes {
		if attribute.GetKey() == name {
			return attribute.GetValue()
		}
	}
	return nil
}
