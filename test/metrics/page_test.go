// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const page = `
## Manager

| metric | type | labels | what it says |
| --- | --- | --- | --- |
| ''apikey_a_runs_total'' | counter | ''result'': ''success'', ''failure''; ''name'' | Runs. |
| ''apikey_a_age_seconds'' | gauge | | Age. |

## Auth server

| ''apikey_b_ready'' | gauge | | 1 or 0. |

## Both programs

| ''apikey_c_wait_seconds'' | histogram | ''kind'': ''A'' | Wait. |

## Labels

| ''result'' | how it ended |
| ''name'' | of what |
| ''kind'' | of what |
`

func TestPageAndRegistryAreTheSame(t *testing.T) {
	registry := prometheus.NewRegistry()
	create := promauto.With(registry)
	runs := create.NewCounterVec(prometheus.CounterOpts{Name: "apikey_a_runs_total", Help: "Runs."}, []string{"result", "name"})
	runs.WithLabelValues("success", "x")
	runs.WithLabelValues("failure", "x")
	create.NewGaugeVec(prometheus.GaugeOpts{Name: "apikey_a_age_seconds", Help: "Age."}, nil)
	create.NewHistogramVec(prometheus.HistogramOpts{Name: "apikey_c_wait_seconds", Help: "Wait."}, []string{"kind"}).WithLabelValues("A")
	create.NewGauge(prometheus.GaugeOpts{Name: "go_other", Help: "Not ours."})
	registered, err := describe(registry)
	if err != nil {
		t.Fatal(err)
	}
	registered["apikey_a_runs_total"].labels["name"] = nil // as of what has no series yet
	for _, test := range []struct {
		old, new string
		want     []string
	}{
		{"", "", nil},
		{"| ''apikey_a_age_seconds'' | gauge | | Age. |\n", "", []string{"apikey_a_age_seconds is registered, and not on the page"}},
		{"| ''apikey_a_age_seconds''", "| ''apikey_a_new_seconds'' | gauge | | New. |\n| ''apikey_a_age_seconds''", []string{"apikey_a_new_seconds is on the page, and not registered"}},
		{"''apikey_a_age_seconds'' | gauge", "''apikey_a_age_seconds'' | counter", []string{"apikey_a_age_seconds is a gauge; the page says counter"}},
		{"''; ''name''", "''", []string{
			`apikey_a_runs_total has the labels ["name" "result"]; the page says ["result"]`, "label name is explained, and no metric has it",
		}},
		{", ''failure''", "", []string{`apikey_a_runs_total has result ["failure" "success"]; the page says ["success"]`}},
		{"''failure''", "''failure'', ''other''", []string{`apikey_a_runs_total has result ["failure" "success"]; the page says ["failure" "other" "success"]`}},
		{"| ''result'' | how it ended |\n", "", []string{"apikey_a_runs_total has the label result, which the page does not explain"}},
		{"## Both programs", "## Auth server", []string{"apikey_c_wait_seconds is registered, and not on the page"}},
		{"## Both programs", "## Others", []string{
			"apikey_c_wait_seconds is registered, and not on the page", "label kind is explained, and no metric has it", "not read: | `apikey_c_wait_seconds` | histogram | `kind`: `A` | Wait. |",
		}},
	} {
		changed := strings.ReplaceAll(strings.Replace(page, test.old, test.new, 1), "''", "`")
		got := differences(changed, Manager, registered)
		if !slices.Equal(got, test.want) {
			t.Errorf("%q for %q:\n%s\nwant\n%s", test.new, test.old, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func TestOnlyCountersEndInTotal(t *testing.T) {
	for _, test := range []struct {
		name      string
		collector func(name string) prometheus.Collector
		ok        bool
	}{
		{"apikey_a_total", func(name string) prometheus.Collector {
			return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "a"})
		}, true},
		{"apikey_a", func(name string) prometheus.Collector {
			return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "a"})
		}, false},
		{"apikey_a_total", func(name string) prometheus.Collector {
			return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "a"})
		}, false},
	} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(test.collector(test.name))
		if _, err := describe(registry); (err == nil) != test.ok {
			t.Error(test.name, fmt.Sprint(err))
		}
	}
}
