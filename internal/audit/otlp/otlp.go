// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package otlp sends copies of audit lines to an OpenTelemetry collector, as log records over OTLP/HTTP.
// The body of a record is the line itself, byte for byte, so that the copy can be verified.
//
// It never blocks: a bounded number of lines waits, and what is beyond is dropped and counted.
package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"golang.org/x/time/rate"

	"github.com/hexcovery/apikey-operator/internal/audit"
)

const (
	// maxWaiting is how many lines may wait for the collector, about a kilobyte each.
	maxWaiting = 8192
	// closeTimeout is how long Close waits for the collector.
	closeTimeout = 5 * time.Second
	// logInterval is how often the log repeats that exports fail.
	logInterval = time.Minute
)

// The results of a copy.
const (
	exported = "exported"
	failed   = "failed"
	dropped  = "dropped"
)

// Exporter sends copies of lines.
type Exporter struct {
	// Collector has its metrics.
	prometheus.Collector

	provider *sdklog.LoggerProvider
	logger   log.Logger
	results  *prometheus.CounterVec
	log      logr.Logger
	logging  rate.Sometimes
	waiting  atomic.Int64
}

// New returns the Exporter that the environment asks for by OTEL_EXPORTER_OTLP_LOGS_ENDPOINT or
// OTEL_EXPORTER_OTLP_ENDPOINT, and nil without these. Its records have the service.name program.
func New(ctx context.Context, program string, logger logr.Logger) (*Exporter, error) {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if endpoint == "" {
		return nil, nil //nolint:nilnil // No collector is no error.
	}
	// The SDK takes an endpoint that is no URL for localhost.
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: want http:// or https:// and a host; credentials go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	sender, err := otlploghttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the collector: %w", err)
	}
	e := &Exporter{
		log: logger, logging: rate.Sometimes{First: 1, Interval: logInterval},
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_audit_export_lines_total",
			Help: "Copies of audit lines for the OpenTelemetry collector: exported, failed, or dropped because too many waited.",
		}, []string{"result"}),
	}
	for _, result := range []string{exported, failed, dropped} {
		e.results.WithLabelValues(result)
	}
	e.Collector = e.results
	e.provider = sdklog.NewLoggerProvider(
		sdklog.WithResource(resource.NewSchemaless(attribute.String("service.name", program))),
		// The queue has room for all that Export admits, so it drops nothing itself.
		sdklog.WithProcessor(sdklog.NewBatchProcessor(counted{sender, e}, sdklog.WithMaxQueueSize(maxWaiting))),
	)
	e.logger = e.provider.Logger("github.com/hexcovery/apikey-operator/internal/audit")
	return e, nil
}

// Export hands a copy over. It never waits.
func (e *Exporter) Export(line audit.Line, encoded string) {
	if e.waiting.Add(1) > maxWaiting {
		e.waiting.Add(-1)
		e.results.WithLabelValues(dropped).Inc()
		return
	}
	var record log.Record
	record.SetTimestamp(line.Time)
	record.SetObservedTimestamp(line.Time)
	record.SetEventName("hexcovery.audit")
	record.SetSeverity(log.SeverityInfo)
	record.SetBody(attribute.StringValue(encoded))
	record.AddAttributes(
		attribute.String("hexcovery.audit.action", string(line.Action)),
		attribute.String(audit.AttributeProcess, line.Process),
		attribute.Int64("hexcovery.audit.sequence", int64(line.Sequence)),
	)
	user := ""
	if line.Actor.Kind == audit.ActorUser {
		user = line.Actor.Name
	}
	for _, a := range []attribute.KeyValue{
		attribute.String("hexcovery.organization.id", line.Organization),
		attribute.String("hexcovery.key.id", line.KeyID),
		attribute.String("k8s.namespace.name", line.Namespace),
		attribute.String("user.name", user),
	} {
		if a.Value.AsString() != "" {
			record.AddAttributes(a)
		}
	}
	e.logger.Emit(context.Background(), record)
}

// Close sends what waits, for at most closeTimeout. What is handed over later is dropped.
func (e *Exporter) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := e.provider.Shutdown(ctx)
	e.results.WithLabelValues(dropped).Add(float64(e.waiting.Swap(maxWaiting)))
	if err != nil {
		return fmt.Errorf("export the last audit lines: %w", err)
	}
	return nil
}

// counted counts what becomes of records.
type counted struct {
	sdklog.Exporter
	e *Exporter
}

// Export sends a batch. Its error is logged: the batch is lost to the collector.
func (c counted) Export(ctx context.Context, records []sdklog.Record) error {
	err := c.Exporter.Export(ctx, records)
	result := exported
	if err != nil {
		result = failed
		c.e.logging.Do(func() { c.e.log.Error(err, "Export of audit lines failed.", "lines", len(records)) })
	}
	c.e.results.WithLabelValues(result).Add(float64(len(records)))
	c.e.waiting.Add(-int64(len(records)))
	return nil
}
