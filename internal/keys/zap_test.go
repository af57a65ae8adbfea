// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	ctrlzap "sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// zapPrinters are the loggers that the manager has: zap with either encoder, alone, under
// logr, and as controller-runtime sets it up.
func zapPrinters() []printer {
	var all []printer
	encoders := map[string]func(zapcore.EncoderConfig) zapcore.Encoder{
		"JSON": zapcore.NewJSONEncoder, "console": zapcore.NewConsoleEncoder,
	}
	for encoding, encoder := range encoders {
		logTo := func(out *bytes.Buffer) *zap.Logger {
			config := zap.NewDevelopmentEncoderConfig()
			return zap.New(zapcore.NewCore(encoder(config), zapcore.AddSync(out), zapcore.DebugLevel))
		}
		all = append(all,
			printer{"zap, " + encoding, func(v any) string { return printZap(v, logTo) }},
			printer{"zapr, " + encoding, func(v any) string {
				var out bytes.Buffer
				printLogr(zapr.NewLogger(logTo(&out)), v)
				return out.String()
			}})
	}
	for _, development := range []bool{true, false} {
		all = append(all, printer{fmt.Sprint("controller-runtime, development: ", development), func(v any) string {
			var out bytes.Buffer
			printLogr(ctrlzap.New(ctrlzap.UseDevMode(development), ctrlzap.WriteTo(&out)), v)
			return out.String()
		}})
	}
	return all
}

func printZap(value any, logTo func(*bytes.Buffer) *zap.Logger) string {
	var out bytes.Buffer
	log := logTo(&out)
	log.With(zap.Any("with", value)).Info("message", zap.Any("any", value), zap.Reflect("reflect", value),
		zap.Namespace("namespace"), zap.Any("slice", []any{value}))
	log.Sugar().Infow("message", "key", value)
	log.Sugar().Infof("message %v %+v %#v", value, value, value)
	log.Sugar().Info(value)
	return out.String()
}

func TestPlaintextDoesNotPrintThroughZap(t *testing.T) {
	p := mintOf(t, counting(0x91))
	search := searchFor(textOf(p), counting(0x91))
	for _, printer := range zapPrinters() {
		for name, holder := range holders(p) {
			output := printer.print(holder)
			if form := search(output); form != "" {
				t.Errorf("%s shows it as %s, in: %s", printer.name, form, name)
			}
			if output == "" {
				t.Errorf("%s lost the line, in: %s", printer.name, name)
			}
		}
	}
}

func TestLeaksThroughZapAreNoticed(t *testing.T) {
	text := textOf(mintOf(t, counting(0x91)))
	search := searchFor(text, counting(0x91))
	for _, printer := range zapPrinters() {
		for _, value := range []any{
			carelessText(text), carelessBytes(text), exported[carelessText]{carelessText(text)}, exported[carelessBytes]{carelessBytes(text)},
		} {
			if search(printer.print(value)) == "" {
				t.Errorf("%s: no leak was noticed of a %T", printer.name, value)
			}
		}
	}
}
