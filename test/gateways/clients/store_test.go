// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"

	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

// tenantLabel is the label by which the store keeps organizations apart.
const tenantLabel = "tenant"

// upstream is what stands behind every gateway: the recorder and, for the keys called
// dashboards, a store.
type upstream struct {
	recorder http.Handler
	store    atomic.Pointer[store]
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if store := u.store.Load(); store != nil && strings.HasSuffix(r.Header.Get("X-Api-Key-Name"), "/dashboards") {
		store.ServeHTTP(w, r)
		return
	}
	u.recorder.ServeHTTP(w, r)
}

// store is a Prometheus that several organizations share:
//
//	queries ──► prom-label-proxy, which adds {tenant="…"} to each ──► Prometheus
//	writes  ──► this, which gives each series the label tenant    ──► Prometheus
//
// Both believe the header X-Scope-OrgID, and nothing else. prom-label-proxy does not
// handle writes, so that half is the test's own.
type store struct {
	prometheus, queries *url.URL
	reading, writing    *httputil.ReverseProxy
}

// startStore starts one that ends with the test.
func startStore(ctx context.Context, t *testing.T) *store {
	t.Helper()
	labelProxy, err := gateways.Binary(ctx, "prom-label-proxy", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(world.dir, t.Name())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("scrape_configs: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &store{}
	s.prometheus = startProgram(ctx, t, "store", func(address string) process.Launch {
		return process.Launch{Path: world.prometheus, Args: []string{
			"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.enable-remote-write-receiver", "--web.listen-address=" + address,
		}}
	}, "/-/ready")
	s.queries = startProgram(ctx, t, "prom-label-proxy", func(address string) process.Launch {
		return process.Launch{Path: labelProxy, Args: []string{
			"-header-name=X-Scope-OrgID", "-label=" + tenantLabel, "-enable-label-apis",
			"-upstream=" + s.prometheus.String(), "-insecure-listen-address=" + address,
		}}
	}, "/healthz")
	s.reading = httputil.NewSingleHostReverseProxy(s.queries)
	s.writing = httputil.NewSingleHostReverseProxy(s.prometheus)
	return s
}

// startProgram starts a server that ends with the test, and returns its URL.
func startProgram(ctx context.Context, t *testing.T, name string, launch func(address string) process.Launch, ready string) *url.URL {
	t.Helper()
	dir := filepath.Join(world.dir, t.Name())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	base := &url.URL{Scheme: "http"}
	process, err := process.StartOnFreePorts(ctx, 1, func(addresses []string) (*process.Process, error) {
		base.Host = addresses[0]
		return process.New(name, dir, launch(base.Host), process.Answers(base.String()+ready)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// It is killed, for it keeps nothing that anybody wants.
	t.Cleanup(func() {
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
	})
	return base
}

// fetch gets what is at a URL, and nothing but a 200.
func fetch(ctx context.Context, target string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", request.URL.Path, response.Status)
	}
	return body, err
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != recorder.RemoteWritePath {
		s.reading.ServeHTTP(w, r)
		return
	}
	tenants := r.Header["X-Scope-Orgid"]
	if len(tenants) != 1 || tenants[0] == "" {
		http.Error(w, "want one tenant", http.StatusBadRequest)
		return
	}
	compressed, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "not a whole message", http.StatusBadRequest)
		return
	}
	stamped, err := stamp(compressed, tenants[0])
	if err != nil {
		http.Error(w, "not a write request", http.StatusBadRequest)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(stamped)), int64(len(stamped))
	s.writing.ServeHTTP(w, r)
}

// label is that of a series.
type label struct{ name, value string }

// stamp gives every series of a write request the label of the tenant, in place of any
// that it has.
func stamp(compressed []byte, tenant string) ([]byte, error) {
	request, err := recorder.ReadWriteRequest(compressed)
	if err != nil {
		return nil, err
	}
	for i := range request.Timeseries {
		series := &request.Timeseries[i]
		series.Labels = slices.DeleteFunc(series.Labels, func(l prompb.Label) bool { return l.Name == tenantLabel })
		series.Labels = append(series.Labels, prompb.Label{Name: tenantLabel, Value: tenant})
	}
	return encode(request)
}

// writeRequest is the body of one that writes a series with one sample.
func writeRequest(labels []label, value float64) ([]byte, error) {
	series := prompb.TimeSeries{Samples: []prompb.Sample{{Value: value, Timestamp: time.Now().UnixMilli()}}}
	for _, one := range labels {
		series.Labels = append(series.Labels, prompb.Label{Name: one.name, Value: one.value})
	}
	return encode(&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series}})
}

func encode(request *prompb.WriteRequest) ([]byte, error) {
	data, err := request.Marshal()
	return snappy.Encode(nil, data), err
}
