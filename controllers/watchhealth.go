// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

const (
	// DefaultWatchBound is how long a watch may fail before the manager is not ready.
	DefaultWatchBound = 30 * time.Second
	// watchCalm is how long no error comes from a watch that works again: a reflector
	// that fails tries again after 30 seconds and some jitter at most, and a connection
	// without life ends within 45 (HTTP/2 pings of client-go).
	watchCalm = 2 * time.Minute
	// syncPatience is how long a probe waits for the caches; the kubelet waits a second.
	syncPatience = 500 * time.Millisecond
)

// watchedKinds are the kinds that the manager follows, by the type that its reflectors
// name.
var watchedKinds = map[string]string{
	"*v1alpha1.APIKey":          "APIKey",
	"*v1alpha1.Organization":    "Organization",
	"*v1.Secret":                "Secret",
	"*v1.PartialObjectMetadata": "Namespace",
	"*v1.Lease":                 "Lease",
}

// watchHealth knows which watches fail, and since when. A manager whose watch fails goes
// by what was, and can do nothing about what is.
type watchHealth struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	failing map[string]failingWatch
}

type failingWatch struct {
	since, last time.Time
	// revision is where the watch stood when it failed first; source says where it
	// stands.
	revision string
	source   revisionSource
}

// revisionSource is a reflector.
type revisionSource interface{ LastSyncResourceVersion() string }

// works reports whether a watch that has failed does not any more: it has brought something,
// and it brings a bookmark a minute, or no error has come from it for long.
func (w failingWatch) works(now time.Time) bool {
	return w.source == nil || w.source.LastSyncResourceVersion() != w.revision || now.Sub(w.last) > watchCalm
}

func newWatchHealth(clock clock.PassiveClock) *watchHealth {
	return &watchHealth{clock: clock, failing: map[string]failingWatch{}}
}

// handle is a WatchErrorHandlerWithContext.
func (h *watchHealth) handle(ctx context.Context, r *toolscache.Reflector, err error) {
	toolscache.DefaultWatchErrorHandler(ctx, r, err)
	if kind := watchedKinds[r.TypeDescription()]; kind != "" {
		h.failed(kind, r, err)
	}
}

// failed notes that the watch of a kind has failed. The API server ends each watch after
// some minutes, which is no failure.
func (h *watchHealth) failed(kind string, source revisionSource, err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now, watch := h.clock.Now(), h.failing[kind]
	if watch.source != source || watch.works(now) {
		watch = failingWatch{since: now, revision: source.LastSyncResourceVersion(), source: source}
	}
	watch.last = now
	h.failing[kind] = watch
}

// failingFor returns for how long the watch of a kind has failed.
func (h *watchHealth) failingFor(kind string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	if h.failing[kind].works(now) {
		delete(h.failing, kind)
		return 0
	}
	return now.Sub(h.failing[kind].since)
}

// check fails when the watch of a kind has failed for longer than bound.
func (h *watchHealth) check(kind string, bound time.Duration) healthz.Checker {
	return func(*http.Request) error {
		if failing := h.failingFor(kind); failing > bound {
			return fmt.Errorf("the watch of %s has failed for %s", kind, failing.Truncate(time.Second))
		}
		return nil
	}
}

// metric says the same of a kind.
func (h *watchHealth) metric(kind string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apikey_manager_watch_failure_seconds", Help: "Time since the watch failed, by kind. 0 while it works.",
		ConstLabels: prometheus.Labels{"kind": kind},
	}, func() float64 { return h.failingFor(kind).Seconds() })
}

// cachesSynced fails while some cache has not had its first list: until then a manager
// does nothing.
func cachesSynced(caches cache.Cache) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), syncPatience)
		defer cancel()
		if !caches.WaitForCacheSync(ctx) {
			return errors.New("not every cache has had its first list")
		}
		return nil
	}
}
