// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// feed are the reflectors that fill one session's index.
type feed struct {
	keys, organizations, namespaces *progress
	cancel                          context.CancelFunc
	group                           *wait.Group
}

// startFeed starts to follow APIKeys, Organizations and Namespaces. wake is called when
// the manager may be waiting for what was applied, end when the index can no longer be
// vouched for.
func startFeed(ctx context.Context, config ReplicaConfig, ix *index, wake func(), end func(error)) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{
		keys:          newProgress(config.Clock, wake, end),
		organizations: newProgress(config.Clock, wake, end),
		namespaces:    newProgress(config.Clock, wake, end),
		cancel:        cancel,
		group:         &wait.Group{},
	}
	f.follow(ctx, config, "apikeys", newAPIKeyList,
		keyStore{index: ix, progress: f.keys, refusals: newRefusalLog(config.Log, kindAPIKey, config.Clock)}, f.keys)
	f.follow(ctx, config, "organizations", newOrganizationList,
		organizationStore{index: ix, progress: f.organizations, refusals: newRefusalLog(config.Log, kindOrganization, config.Clock)}, f.organizations)
	f.follow(ctx, config, "namespaces", newNamespaceList, namespaceStore{index: ix, progress: f.namespaces}, f.namespaces)
	return f
}

func (f *feed) follow(ctx context.Context, config ReplicaConfig, name string, newList func() client.ObjectList, store cache.ReflectorStore, p *progress) {
	options := cache.ReflectorOptions{Clock: config.Clock, Logger: &config.Log, Name: name, TypeDescription: name}
	// client-go waits up to a minute after errors. What has to be refused at once
	// has to be learned soon, and there are few replicas that could crowd.
	options.Backoff = &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 5, Cap: maxRetryDelay}
	// No expected type: a reflector passes over an object of an unexpected one,
	// and the revision would be reported without it. The stores refuse it.
	reflector := cache.NewReflectorWithOptions(listWatch(config.Client, p, newList), nil, store, options)
	reflector.WatchListPageSize = pageSize
	f.group.StartWithContext(ctx, reflector.RunWithContext)
}

// kinds are what is followed, by the name that metrics and Leases give it.
func (f *feed) kinds() map[string]*progress {
	return map[string]*progress{kindAPIKey: f.keys, kindOrganization: f.organizations, kindNamespace: f.namespaces}
}

// listed waits until every kind is in the index; false when ctx ended first.
func (f *feed) listed(ctx context.Context) bool {
	for _, p := range f.kinds() {
		select {
		case <-p.listed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// applied is what a Lease may say now.
func (f *feed) applied() report {
	return report{apiKeys: f.keys.revision(), organizations: f.organizations.revision(), namespaces: f.namespaces.revision()}
}

// heardAt is when the kind of which nothing was heard for longest was last heard of.
func (f *feed) heardAt() (heard time.Time) {
	for _, p := range f.kinds() {
		if at := p.lastHeard(); heard.IsZero() || at.Before(heard) {
			heard = at
		}
	}
	return heard
}

// failure is for how long some kind could not be followed, and why; 0 if each can be.
func (f *feed) failure() (longest time.Duration, cause string) {
	for kind, p := range f.kinds() {
		if lasted, why := p.failure(); lasted > longest {
			longest, cause = lasted, kind+": "+why
		}
	}
	return longest, cause
}

func (f *feed) stop() {
	f.cancel()
	f.group.Wait()
}
