// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics compares docs/metrics.md with the metrics that a program registers.
//
// It promises that what is on the page is registered, and what is registered is on the
// page, with the same type, the same labels and the same values of these. It knows the
// product's own metrics only, by their prefix.
package metrics

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The sections of the page that have metrics.
const (
	Manager    = "Manager"
	AuthServer = "Auth server"
	both       = "Both programs"
	// labelSection says what each label means.
	labelSection = "Labels"
)

const prefix = "apikey_"

// metric is what can be known of a metric.
type metric struct {
	kind string
	// labels has the values of each label, sorted; none where they are not bounded.
	labels map[string][]string
}

// Check fails the test unless the page has exactly the metrics that are registered.
func Check(t testing.TB, file, program string, registry *prometheus.Registry) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	registered, err := describe(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, difference := range differences(string(page), program, registered) {
		t.Errorf("%s, %s: %s", file, program, difference)
	}
}

// differences says what is wrong with the page.
func differences(page, program string, registered map[string]metric) (found []string) {
	complain := func(name, format string, arguments ...any) {
		found = append(found, name+" "+fmt.Sprintf(format, arguments...))
	}
	documented, explained, wrong := parse(page)
	listed := map[string]metric{}
	maps.Copy(listed, documented[program])
	maps.Copy(listed, documented[both])
	for name, is := range registered {
		said, ok := listed[name]
		if !ok {
			complain(name, "is registered, and not on the page")
			continue
		}
		if is.kind != said.kind {
			complain(name, "is a %s; the page says %s", is.kind, said.kind)
		}
		if is, said := slices.Sorted(maps.Keys(is.labels)), slices.Sorted(maps.Keys(said.labels)); !slices.Equal(is, said) {
			complain(name, "has the labels %q; the page says %q", is, said)
		}
		for label, values := range is.labels {
			if !explained[label] {
				complain(name, "has the label %s, which the page does not explain", label)
			}
			// What has no series yet tells no values.
			if said := said.labels[label]; len(values) > 0 && !slices.Equal(values, said) {
				complain(name, "has %s %q; the page says %q", label, values, said)
			}
		}
	}
	for name := range listed {
		if _, ok := registered[name]; !ok {
			complain(name, "is on the page, and not registered")
		}
	}
	found = append(found, wrong...)
	slices.Sort(found)
	return found
}

// describe returns the product's own metrics. What has no series yet has a type by its
// name, as has everything else: a counter ends in _total, and a gauge does not.
func describe(registry *prometheus.Registry) (map[string]metric, error) {
	registered := map[string]metric{}
	descriptions := make(chan *prometheus.Desc)
	go func() { defer close(descriptions); registry.Describe(descriptions) }()
	for description := range descriptions {
		parts := described.FindStringSubmatch(description.String())
		if parts == nil || !strings.HasPrefix(parts[1], prefix) {
			continue
		}
		m := metric{kind: "gauge", labels: map[string][]string{}}
		if strings.HasSuffix(parts[1], "_total") {
			m.kind = "counter"
		}
		for label := range strings.FieldsFuncSeq(parts[2], func(r rune) bool { return r == ',' }) {
			m.labels[label] = nil
		}
		registered[parts[1]] = m
	}
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	for _, family := range families {
		m, ours := registered[family.GetName()]
		if !ours {
			continue
		}
		kind := strings.ToLower(family.GetType().String())
		if (kind == "counter") != (m.kind == "counter") {
			return nil, fmt.Errorf("%s is a %s: counters, and nothing else, end in _total", family.GetName(), kind)
		}
		m.kind = kind
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				values := append(m.labels[label.GetName()], label.GetValue())
				slices.Sort(values)
				m.labels[label.GetName()] = slices.Compact(values)
			}
		}
		registered[family.GetName()] = m
	}
	return registered, nil
}

var (
	described = regexp.MustCompile(`^Desc\{fqName: "(\w+)", .* variableLabels: \{([\w,]*)\}`)
	row       = regexp.MustCompile("^\\| `(\\w+)` \\| (\\w*) ?\\| ([^|]*) ?\\|")
	quoted    = regexp.MustCompile("`([^`]+)`")
)

// parse returns the metrics of each section, the labels that are explained, and what is
// wrong with the page by itself.
func parse(page string) (sections map[string]map[string]metric, explained map[string]bool, wrong []string) {
	sections, explained = map[string]map[string]metric{Manager: {}, AuthServer: {}, both: {}}, map[string]bool{}
	used := map[string]bool{}
	section := ""
	for line := range strings.Lines(page) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		if section == labelSection && strings.HasPrefix(line, "| `") {
			explained[quoted.FindStringSubmatch(line)[1]] = true
		}
		if !strings.HasPrefix(line, "| `"+prefix) {
			continue
		}
		cells := row.FindStringSubmatch(line)
		if cells == nil || sections[section] == nil {
			wrong = append(wrong, "not read: "+strings.TrimSpace(line))
			continue
		}
		m := metric{kind: cells[2], labels: map[string][]string{}}
		for part := range strings.SplitSeq(cells[3], ";") {
			names := quoted.FindAllStringSubmatch(part, -1)
			for i, name := range names {
				if i > 0 {
					m.labels[names[0][1]] = append(m.labels[names[0][1]], name[1])
				} else {
					m.labels[name[1]], used[name[1]] = nil, true
				}
			}
		}
		for _, values := range m.labels {
			slices.Sort(values)
		}
		if _, twice := sections[section][cells[1]]; twice {
			wrong = append(wrong, cells[1]+" is on the page twice")
		}
		sections[section][cells[1]] = m
	}
	for label := range explained {
		if !used[label] {
			wrong = append(wrong, "label "+label+" is explained, and no metric has it")
		}
	}
	return sections, explained, wrong
}
