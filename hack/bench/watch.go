// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// watcher tells when what was seen of an APIKey.
type watcher struct {
	watch watch.Interface
	// sightings is closed when the watch ends.
	sightings chan sighting
}

// sighting is one event of the watch.
type sighting struct {
	at   time.Time
	kind watch.EventType
	key  *v1alpha1.APIKey
}

func newWatcher(ctx context.Context, c client.WithWatch) (*watcher, error) {
	w, err := c.Watch(ctx, &v1alpha1.APIKeyList{}, client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("watch APIKeys: %w", err)
	}
	watcher := &watcher{watch: w, sightings: make(chan sighting, 1)}
	go watcher.run(ctx)
	return watcher, nil
}

// run notes the time of each event before anything else happens to it.
func (w *watcher) run(ctx context.Context) {
	defer close(w.sightings)
	for event := range w.watch.ResultChan() {
		seen := sighting{at: time.Now(), kind: event.Type}
		seen.key, _ = event.Object.(*v1alpha1.APIKey) // Otherwise it is an error.
		select {
		case w.sightings <- seen:
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) stop() { w.watch.Stop() }

// await returns when the APIKey was first seen to be as wanted, after what earlier
// calls have returned.
func (w *watcher) await(ctx context.Context, name string, wanted func(sighting) bool) (time.Time, error) {
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		case seen, ok := <-w.sightings:
			switch {
			case !ok, seen.key == nil:
				return time.Time{}, errors.New("the watch has ended")
			case seen.key.Name == name && wanted(seen):
				return seen.at, nil
			}
		}
	}
}

func becameReady(s sighting) bool {
	return meta.IsStatusConditionTrue(s.key.Status.Conditions, v1alpha1.ConditionReady)
}

func isGone(s sighting) bool { return s.kind == watch.Deleted }
