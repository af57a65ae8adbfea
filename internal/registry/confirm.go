// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// confirmSeconds is how long a watch is asked for that is to bring a bookmark soon: API
	// servers send one two seconds before the end of a watch (KEP-956).
	confirmSeconds = 3
	// confirmTimeout bounds such a watch, also where the API server does not.
	confirmTimeout = 2 * confirmSeconds * time.Second
)

// reached reports whether the index has what this kind was at a revision: it was applied,
// or nothing has changed since what was applied.
func (p *progress) reached(revision string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return hasApplied(p.applied, revision) || hasApplied(p.confirmed, revision)
}

// confirm finds out whether anything of this kind has changed since what was applied. The
// feed's own watch would show it by its next bookmark, which may be a minute away. This one
// ends soon, and so brings its bookmark soon; where that comes first, there was no change.
// Otherwise the feed is about to apply one.
func (p *progress) confirm(ctx context.Context, c client.WithWatch, list client.ObjectList) {
	defer p.confirming.Store(false)
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	after := p.revision()
	if after == nothingApplied {
		return
	}
	w, err := c.Watch(ctx, list, &client.ListOptions{Raw: &metav1.ListOptions{
		ResourceVersion: after, AllowWatchBookmarks: true, TimeoutSeconds: ptr.To[int64](confirmSeconds),
	}})
	if err != nil {
		return // the feed's own watch reports its errors
	}
	defer w.Stop()
	select {
	case <-ctx.Done():
	case event, ok := <-w.ResultChan():
		if !ok || event.Type != watch.Bookmark {
			return
		}
		bookmark, err := meta.Accessor(event.Object)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.confirmed = bookmark.GetResourceVersion()
		p.mu.Unlock()
		p.notify()
	}
}

// caughtUp reports whether the index has what each kind was at the revisions of a report.
// Where it is not known to, that is found out, while the feed goes on and until ctx ends.
func (f *feed) caughtUp(ctx context.Context, c client.WithWatch, present report) bool {
	caughtUp := true
	for _, kind := range []struct {
		*progress
		revision string
		newList  func() client.ObjectList
	}{{f.keys, present.apiKeys, newAPIKeyList}, {f.organizations, present.organizations, newOrganizationList}, {f.namespaces, present.namespaces, newNamespaceList}} {
		if kind.reached(kind.revision) {
			continue
		}
		caughtUp = false
		if kind.confirming.CompareAndSwap(false, true) {
			f.group.StartWithContext(ctx, func(ctx context.Context) { kind.confirm(ctx, c, kind.newList()) })
		}
	}
	return caughtUp
}
