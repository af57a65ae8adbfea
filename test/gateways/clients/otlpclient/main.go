// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command otlpclient is a program with the OpenTelemetry SDK for Go in it, as any pod
// may run: everything about where and how it sends is in its environment. It makes
// spans, log records and data points, numbered from 1, until it is asked to stop, as a
// pod is. Then it prints the highest number of each signal; what the SDK could not do it
// complains about at once.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// What the recorder counts: its NumberAttribute and NumberedMetric.
const (
	numberAttribute = "number"
	numberedMetric  = "numbered"
)

// interval is how often it makes a span and a log record.
const interval = 100 * time.Millisecond

func main() {
	if err := run(context.Background()); err != nil {
		complain(err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	stopping, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(complain))
	spans, badSpans := autoexport.NewSpanExporter(ctx)
	records, badRecords := autoexport.NewLogExporter(ctx)
	reader, badReader := autoexport.NewMetricReader(ctx)
	if err := errors.Join(badSpans, badRecords, badReader); err != nil {
		return err
	}
	// First of all: the reader reads from its beginning, and complains if it has nothing to.
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))

	var points atomic.Int64
	_, err := metrics.Meter("otlpclient").Int64ObservableGauge(numberedMetric,
		metric.WithInt64Callback(func(_ context.Context, observer metric.Int64Observer) error {
			if stopping.Err() == nil {
				observer.Observe(points.Add(1))
			}
			return nil
		}))
	if err != nil {
		return err
	}
	made := work(stopping, traces, logs)

	// A reader that is shut down abandons what it is just sending, and sends again what it
	// then observes, which is all the same for a metric, but not for who counts. So the
	// numbers end first, and only when they are sent everything is shut down.
	if err := errors.Join(traces.ForceFlush(ctx), logs.ForceFlush(ctx), metrics.ForceFlush(ctx)); err != nil {
		complain(err)
	}
	// An empty export that is abandoned is a complaint, too, but not of interest any more.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	_ = errors.Join(traces.Shutdown(ctx), logs.Shutdown(ctx), metrics.Shutdown(ctx))
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{"traces": made, "logs": made, "metrics": points.Load()})
}

func complain(err error) { fmt.Fprintf(os.Stderr, "otlpclient: %v\n", err) }

// work makes spans and log records until ctx is done, and says how many of each.
func work(ctx context.Context, traces *sdktrace.TracerProvider, logs *sdklog.LoggerProvider) int64 {
	tracer, logger := traces.Tracer("otlpclient"), logs.Logger("otlpclient")
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for number := int64(1); ; number++ {
		_, span := tracer.Start(ctx, "numbered")
		span.SetAttributes(attribute.Int64(numberAttribute, number))
		span.End()

		var record log.Record
		record.SetBody(attribute.StringValue("numbered"))
		record.AddAttributes(attribute.Int64(numberAttribute, number))
		logger.Emit(ctx, record)
		select {
		case <-ctx.Done():
			return number
		case <-ticker.C:
		}
	}
}
