// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/klog/v2/textlogger"
	"sigs.k8s.io/yaml"
)

// A Plaintext is kept out of what is printed in whatever holds it, by each of the
// printers below. That the test would notice is shown with a careless type, in
// TestLeaksAreNoticed.

// printer shows value to whoever reads its output, errors included.
type printer struct {
	name  string
	print func(value any) string
}

func printers() []printer {
	all := []printer{
		{"fmt.Sprint", func(v any) string { return fmt.Sprint(v) }},
		{"fmt.Sprintln", func(v any) string { return fmt.Sprintln("key", v) }},
		{"wrapped in an error", func(v any) string { return fmt.Errorf("publish: %w", fmt.Errorf("%v", v)).Error() }},
		{"errors.Join", func(v any) string { return errors.Join(io.EOF, fmt.Errorf("%+v", v)).Error() }},
		{"encoding/json", func(v any) string { return either(json.Marshal(v)) }},
		{"sigs.k8s.io/yaml", func(v any) string { return either(yaml.Marshal(v)) }},
		{"encoding/xml", func(v any) string { return either(xml.Marshal(v)) }},
		{"encoding/gob", printGob},
		{"text/template", printText},
		{"html/template", printHTML},
		{"slog text", func(v any) string { return printSlog(v, textHandler) }},
		{"slog JSON", func(v any) string { return printSlog(v, jsonHandler) }},
		{"logr text", func(v any) string { return printFuncr(v, false) }},
		{"logr JSON", func(v any) string { return printFuncr(v, true) }},
		{"klog", printKlog},
	}
	for _, flags := range []string{"", "+", "#", " ", "-100", "0100", ".60", "# ", "[1]"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspw!" {
			format := "%" + flags + string(verb)
			all = append(all, printer{format, func(v any) string { return fmt.Sprintf(format, v) }})
		}
	}
	return all
}

// either returns what was written and, if there is one, the error's text: both end up
// in logs.
func either(text []byte, err error) string { return fmt.Sprintf("%s %v", text, err) }

func printGob(value any) string {
	var out bytes.Buffer
	err := gob.NewEncoder(&out).Encode(value)
	return either(out.Bytes(), err)
}

func printText(value any) string {
	var out bytes.Buffer
	err := template.Must(template.New("").Parse(`{{.}} {{print .}} {{printf "%+v %#v %x %s" . . . .}} {{js .}} {{html .}}`)).Execute(&out, value)
	return either(out.Bytes(), err)
}

func printHTML(value any) string {
	var out bytes.Buffer
	err := htmltemplate.Must(htmltemplate.New("").Parse(`<p title="{{.}}">{{.}}</p><script>x = {{.}}</script>`)).Execute(&out, value)
	return either(out.Bytes(), err)
}

func textHandler(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }
func jsonHandler(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }

func printSlog(value any, handler func(io.Writer) slog.Handler) string {
	var out bytes.Buffer
	slog.New(handler(&out)).With("with", value).WithGroup("group").Info("message", "key", value, slog.Group("g", "key", value))
	return out.String()
}

func printLogr(log logr.Logger, value any) {
	err := fmt.Errorf("publish: %v", value)
	log.WithValues("with", value).Info("message", "key", value)
	log.Error(err, "message", "key", value)
}

func printFuncr(value any, asJSON bool) string {
	var out strings.Builder
	write := func(text string) { out.WriteString(text) }
	if asJSON {
		printLogr(funcr.NewJSON(write, funcr.Options{}), value)
	} else {
		printLogr(funcr.New(func(prefix, args string) { write(prefix + args) }, funcr.Options{}), value)
	}
	return out.String()
}

func printKlog(value any) string {
	var out bytes.Buffer
	printLogr(textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&out))), value)
	return out.String()
}

// Holders of a T, as they occur: T is Plaintext here, and something careless in
// TestLeaksAreNoticed.
type (
	exported[T any]   struct{ Key T }
	unexported[T any] struct{ key T }
	pointers[T any]   struct {
		Key *T
		key *T
	}
	nested[T any] struct {
		Name  string
		inner unexported[T]
		Outer *exported[T]
	}
	failure[T any] struct{ key T }
)

func (f failure[T]) Error() string { return fmt.Sprintf("failure with %v", f.key) }

// holders returns value in everything that may hold it.
func holders[T any](value T) map[string]any {
	pointer := &value
	channel := make(chan T, 1)
	channel <- value
	return map[string]any{
		"itself":               value,
		"pointer":              pointer,
		"pointer to a pointer": &pointer,
		"exported field":       exported[T]{value},
		"pointer to a struct":  &exported[T]{value},
		"unexported field":     unexported[T]{value},
		"pointer to such":      &unexported[T]{value},
		"fields of pointers":   pointers[T]{pointer, pointer},
		"nested":               &nested[T]{"name", unexported[T]{value}, &exported[T]{value}},
		"interface field":      exported[any]{value},
		"hidden interface":     unexported[any]{value},
		"slice":                []T{value},
		"array":                [1]T{value},
		"slice of pointers":    []*T{pointer},
		"map":                  map[string]T{"key": value},
		"map of structs":       map[string]unexported[T]{"key": {value}},
		"slice of anything":    []any{value, pointer},
		"channel":              channel,
		"function":             func() T { return value },
		"error":                failure[T]{value},
		"pointer to an error":  &failure[T]{value},
	}
}

func TestPlaintextDoesNotPrint(t *testing.T) {
	p := mintOf(t, counting(0x91))
	search := searchFor(textOf(p), counting(0x91))
	escrow := NewEscrow(1)
	put(t, escrow, "uid", p)
	all := holders(p)
	all["escrow"] = escrow
	for _, printer := range append(printers(), dumpers()...) {
		for name, holder := range all {
			if form := search(printer.print(holder)); form != "" {
				t.Errorf("%s shows it as %s, in: %s", printer.name, form, name)
			}
		}
	}
}

func TestPlaintextPrintsAsRedacted(t *testing.T) {
	for name, p := range map[string]Plaintext{"key": mintOf(t, counting(0)), "zero": {}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%100v", "%.2s", "%t"} {
			if got := fmt.Sprintf(format, p); got != "[redacted]" {
				t.Errorf("%s: %s is %s", name, format, got)
			}
			if got := fmt.Sprintf(format, exported[Plaintext]{p}); !strings.Contains(got, "[redacted]") {
				t.Errorf("%s: %s of a struct is %s", name, format, got)
			}
		}
		if p.String() != "[redacted]" || p.GoString() != "[redacted]" || p.MarshalLog() != "[redacted]" || p.LogValue().String() != "[redacted]" {
			t.Errorf("%s: a method shows something else", name)
		}
	}
}

func TestPlaintextRefusesToBeMarshalled(t *testing.T) {
	p := mintOf(t, counting(0))
	for name, value := range map[string]any{
		"key": p, "pointer": &p, "field": exported[Plaintext]{p}, "zero": Plaintext{}, "map": map[string]any{"a": p},
	} {
		for encoder, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal} {
			if text, err := marshal(value); !errors.Is(err, ErrMarshal) && !strings.Contains(fmt.Sprint(err), ErrMarshal.Error()) {
				t.Errorf("%s of %s: %s, %v", encoder, name, text, err)
			}
		}
	}
	if err := gob.NewEncoder(io.Discard).Encode(exported[Plaintext]{p}); !errors.Is(err, ErrMarshal) {
		t.Errorf("gob: %v", err)
	}
	if _, err := xml.Marshal(p); !errors.Is(err, ErrMarshal) {
		t.Errorf("xml: %v", err)
	}
	var _ encoding.TextMarshaler = p
	var _ encoding.BinaryMarshaler = p
}

func TestPlaintextIsIncomparable(t *testing.T) {
	if reflect.TypeFor[Plaintext]().Comparable() {
		t.Error("== compiles, and is not constant time")
	}
}

func TestPlaintextEqual(t *testing.T) {
	p, same, stranger := mintOf(t, counting(0)), mintOf(t, counting(0)), mintOf(t, counting(1))
	for _, tc := range []struct {
		name string
		a, b Plaintext
		want bool
	}{
		{"itself", p, p, true},
		{"the same key", p, same, true},
		{"another key", p, stranger, false},
		{"no key", p, Plaintext{}, false},
		{"no key, and a key", Plaintext{}, p, false},
		{"two times no key", Plaintext{}, Plaintext{}, false},
	} {
		if got := tc.a.Equal(tc.b); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if p.IsZero() || !(Plaintext{}).IsZero() {
		t.Error("IsZero")
	}
	if (Plaintext{}).Digest() != (Digest{}) {
		t.Error("no key has a digest")
	}
}
