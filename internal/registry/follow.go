// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// feed is the pair of reflectors that fill one session's index.
type feed struct {
	keys, organizations *progress
	cancel              context.CancelFunc
	group               *wait.Group
}

// startFeed starts to follow APIKeys and Organizations. wake is called when the
// manager may be waiting for what was applied, end when the index can no longer
// be vouched for.
func startFeed(ctx context.Context, config ReplicaConfig, ix *index, wake func(), end func(error)) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{
		keys:          newProgress(config.Clock, wake, end),
		organizations: newProgress(config.Clock, wake, end),
		cancel:        cancel,
		group:         &wait.Group{},
	}
	options := cache.ReflectorOptions{Clock: config.Clock, Logger: &config.Log}
	// No expected type: a reflector passes over an object of an unexpected one,
	// and the revision would be reported without it. The stores refuse it.
	apiKeys := cache.NewReflectorWithOptions(
		listWatch(config.Client, func() client.ObjectList { return &v1alpha1.APIKeyList{} }),
		nil, keyStore{index: ix, progress: f.keys}, withName(options, "apikeys"))
	organizations := cache.NewReflectorWithOptions(
		listWatch(config.Client, func() client.ObjectList { return &v1alpha1.OrganizationList{} }),
		nil, organizationStore{index: ix, progress: f.organizations}, withName(options, "organizations"))
	f.group.StartWithContext(ctx, apiKeys.RunWithContext)
	f.group.StartWithContext(ctx, organizations.RunWithContext)
	return f
}

func withName(options cache.ReflectorOptions, name string) cache.ReflectorOptions {
	options.Name, options.TypeDescription = name, name
	// client-go waits up to a minute after errors. What has to be refused at once
	// has to be learned soon, and there are few replicas that could crowd.
	options.Backoff = &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 5, Cap: maxRetryDelay}
	return options
}

// listed waits until both kinds are in the index; false when ctx ended first.
func (f *feed) listed(ctx context.Context) bool {
	for _, p := range []*progress{f.keys, f.organizations} {
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
	return report{apiKeys: f.keys.revision(), organizations: f.organizations.revision()}
}

// heardAt is when the kind of which nothing was heard for longer was last heard of.
func (f *feed) heardAt() time.Time {
	keys, organizations := f.keys.lastHeard(), f.organizations.lastHeard()
	if keys.Before(organizations) {
		return keys
	}
	return organizations
}

// stop ends both reflectors and waits for them.
func (f *feed) stop() {
	f.cancel()
	f.group.Wait()
}
