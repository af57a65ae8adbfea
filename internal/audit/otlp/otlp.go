// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package otlp sends copies of audit lines to an OpenTelemetry collector, as log
// records over OTLP/HTTP. The body of a record is the line itself, byte for byte, so
// that the copy can be verified as the file can.
//
// It never keeps a line from being written: what waits is bounded, and what is too
// much is dropped and counted. So a copy may have gaps, which the verifier finds.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	// maxWaiting is how many lines may wait for the collector, a kilobyte each.
	maxWaiting = 8192
	// maxBatch is how many go with one request.
	maxBatch = 512
	// interval is how long a line waits for others to go with it.
	interval = time.Second
	// scope is the name of what makes the records.
	scope = "github.com/hexcovery/apikey-operator/internal/audit"
	// logsPath is where a collector takes logs, unless its URL says otherwise.
	logsPath = "/v1/logs"
	// complaintInterval is how often the log repeats that a collector fails.
	complaintInterval = time.Minute
)

// Config configures an Exporter.
type Config struct {
	// Endpoint is the URL of the collector; empty for that of the environment variables
	// OTEL_EXPORTER_OTLP_LOGS_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT. The others of that
	// name, such as OTEL_EXPORTER_OTLP_HEADERS, count in any case.
	Endpoint string
	// Program is the service.name of the records.
	Program string
	// Log says that a collector fails.
	Log logr.Logger
}

// Exporter sends copies of lines.
type Exporter struct {
	// Collector has its metrics.
	prometheus.Collector

	provider *sdklog.LoggerProvider
	logger   log.Logger
	results  *prometheus.CounterVec
	log      logr.Logger
	waiting  atomic.Int64
	// complaints keeps a collector that is down from filling the log.
	complaints rate.Sometimes
}

// The results of a copy.
const (
	exported = "exported"
	failed   = "failed"
	dropped  = "dropped"
)

// New returns an Exporter that sends until Shutdown.
func New(ctx context.Context, config Config) (*Exporter, error) {
	var options []otlploghttp.Option
	if config.Endpoint != "" {
		endpoint, err := parseEndpoint(config.Endpoint)
		if err != nil {
			return nil, err
		}
		options = append(options, otlploghttp.WithEndpointURL(endpoint))
	}
	sender, err := otlploghttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("export audit lines: %w", err)
	}
	e := &Exporter{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_audit_export_lines_total",
			Help: "Copies of audit lines for the OpenTelemetry collector, by result.",
		}, []string{"result"}),
		log: config.Log, complaints: rate.Sometimes{First: 1, Interval: complaintInterval},
	}
	e.Collector = e.results
	for _, result := range []string{exported, failed, dropped} {
		e.results.WithLabelValues(result)
	}
	e.provider = sdklog.NewLoggerProvider(
		sdklog.WithResource(resource.NewSchemaless(attribute.String("service.name", config.Program))),
		// The queue has room for all that Export lets in, so it drops nothing by itself.
		sdklog.WithProcessor(sdklog.NewBatchProcessor(&counted{Exporter: sender, e: e},
			sdklog.WithMaxQueueSize(maxWaiting), sdklog.WithExportMaxBatchSize(maxBatch), sdklog.WithExportInterval(interval))),
	)
	e.logger = e.provider.Logger(scope)
	return e, nil
}

// parseEndpoint checks the URL of a collector, and adds the path where it has none.
func parseEndpoint(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("collector: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("collector %q: start it with http:// or https:// and a host", u.Redacted())
	case u.User != nil:
		return "", errors.New("collector: must not hold a user or password: set OTEL_EXPORTER_OTLP_HEADERS")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = logsPath
	}
	return u.String(), nil
}

// Export hands a copy over. It never waits.
func (e *Exporter) Export(line audit.Copy) {
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
	record.SetBody(attribute.StringValue(line.Line))
	record.AddAttributes(
		attribute.String("hexcovery.audit.action", string(line.Event.Action)),
		attribute.String("hexcovery.audit.process", line.Process),
		attribute.Int64("hexcovery.audit.sequence", int64(line.Sequence)),
	)
	for name, text := range map[string]string{
		"hexcovery.organization.id": line.Event.Organization,
		"hexcovery.key.id":          line.Event.KeyID,
		"k8s.namespace.name":        line.Event.Namespace,
		"user.name":                 userName(line.Event.Actor),
	} {
		if text != "" {
			record.AddAttributes(attribute.String(name, text))
		}
	}
	e.logger.Emit(context.Background(), record)
}

func userName(actor audit.Actor) string {
	if actor.Kind != audit.ActorUser {
		return ""
	}
	return actor.Name
}

// Shutdown sends what waits, as far as ctx permits. What is handed over later is
// dropped.
func (e *Exporter) Shutdown(ctx context.Context) error {
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

// Export sends a batch. Its error ends here: it is logged, and the batch is lost to
// the collector.
func (c *counted) Export(ctx context.Context, records []sdklog.Record) error {
	err := c.Exporter.Export(ctx, records)
	result := exported
	if err != nil {
		result = failed
		c.e.complaints.Do(func() { c.e.log.Error(err, "audit lines were not exported", "lines", len(records)) })
	}
	c.e.results.WithLabelValues(result).Add(float64(len(records)))
	c.e.waiting.Add(-int64(len(records)))
	return nil
}
