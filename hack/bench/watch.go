// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"
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
	list := &v1alpha1.APIKeyList{}
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list APIKeys: %w", err)
	}
	// The API server ends a watch that is too slow, as this may be on a busy machine.
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &v1alpha1.APIKeyList{}, client.InNamespace(namespace), &client.ListOptions{Raw: &options})
		},
	})
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
		if event.Type == watch.Bookmark {
			continue
		}
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

// await waits until the APIKey of that name was seen as it is wanted, and returns
// when that was.
func (w *watcher) await(ctx context.Context, name string, wanted func(sighting) bool) (time.Time, error) {
	return w.awaitAll(ctx, sets.New(name), wanted)
}

// awaitAll waits until each APIKey of these names was seen as it is wanted, and
// returns when the last of them was. It empties names.
func (w *watcher) awaitAll(ctx context.Context, names sets.Set[string], wanted func(sighting) bool) (time.Time, error) {
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		case seen, ok := <-w.sightings:
			if !ok || seen.key == nil {
				return time.Time{}, errors.New("the watch has ended")
			}
			if !names.Has(seen.key.Name) || !wanted(seen) {
				continue
			}
			names.Delete(seen.key.Name)
			if names.Len() == 0 {
				return seen.at, nil
			}
		}
	}
}

func becameReady(s sighting) bool {
	return meta.IsStatusConditionTrue(s.key.Status.Conditions, v1alpha1.ConditionReady)
}

func isGone(s sighting) bool { return s.kind == watch.Deleted }
