// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilwait "k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

// The leadership of managers changes hands within a round.
const (
	leaseDuration = 2 * time.Second
	renewDeadline = 1500 * time.Millisecond
	retryPeriod   = 300 * time.Millisecond
)

// world is the product and its users.
type world struct {
	stack    *stack.Stack
	admin    client.WithWatch
	ledger   *oracle.Ledger
	ring     *keyring
	servers  []*machine
	managers []*machine
	// shiftedServer is the path of an auth server with another clock.
	shiftedServer string
	// plane is held by whoever has the API server or etcd fail.
	plane sync.Mutex

	// deeds are what users are at.
	deeds sync.WaitGroup

	minted, removed, suspended, rotated, retired atomic.Int64

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newWorld starts the product with these programs, three auth servers and two
// managers, and nobody who asks.
func newWorld(ctx context.Context, log io.Writer, programs stack.Programs) (*world, error) {
	started, err := stack.Start(ctx, stack.Options{
		ControlPlane: controlplane.Options{EtcdLink: "coordination.k8s.io/leases"},
		Programs:     programs, Managers: 2, AuthServers: replicas, Links: true, Log: log,
		ManagerFlags: []string{
			fmt.Sprintf("--leader-elect-lease-duration=%s", leaseDuration),
			fmt.Sprintf("--leader-elect-renew-deadline=%s", renewDeadline),
			fmt.Sprintf("--leader-elect-retry-period=%s", retryPeriod),
		},
		AuthServerFlags: []string{fmt.Sprintf("--max-staleness=%s", staleness)},
	})
	if err != nil {
		return nil, err
	}
	w := &world{stack: started}
	for _, server := range started.AuthServers {
		w.servers = append(w.servers, &machine{Process: server.Process})
	}
	for _, manager := range started.Managers {
		w.managers = append(w.managers, &machine{Process: manager.Process, mortal: true})
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	if w.admin, err = client.NewWithWatch(started.ControlPlane.Admin(), client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if err := w.relax(ctx); err != nil {
		return nil, err
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: organization},
			Spec:       v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Selector: metav1.SetAsLabelSelector(labels.Set{corev1.LabelMetadataName: namespace})}},
		},
	} {
		if err := w.admin.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// begin has users ask, with a ledger of their own, until end. What lives longer than
// one ledger is the product.
func (w *world) begin(more int) {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.ledger, w.ring = &oracle.Ledger{}, newKeyring()
	for _, m := range append(append([]*machine{}, w.servers...), w.managers...) {
		m.ledger = w.ledger
		w.running.Go(func() { m.keep(ctx) })
	}
	w.running.Go(func() { w.follow(ctx) })
	w.running.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.ring.refresh()
			}
		}
	})
	for _, server := range w.stack.AuthServers {
		p := &prober{replica: server.Name, address: host(server.Gateways), ring: w.ring, ledger: w.ledger, more: more}
		w.running.Go(func() { p.run(ctx) })
	}
}

// end has users ask no more, and waits for all that begin has started.
func (w *world) end() {
	w.cancel()
	w.running.Wait()
}

// follow watches every APIKey, through whatever happens to the API server.
func (w *world) follow(ctx context.Context) {
	silent := logr.Discard()
	reflector := cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.ResourceVersion = "" // what there is now
			list := &v1alpha1.APIKeyList{}
			return list, w.admin.List(ctx, list, client.InNamespace(namespace), &client.ListOptions{Raw: &options})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return w.admin.Watch(ctx, &v1alpha1.APIKeyList{}, client.InNamespace(namespace), &client.ListOptions{Raw: &options})
		},
	}, &v1alpha1.APIKey{}, w.ring, cache.ReflectorOptions{
		Name: "faults", Logger: &silent,
		Backoff: &utilwait.Backoff{Duration: 50 * time.Millisecond, Factor: 1.5, Steps: 6, Cap: 500 * time.Millisecond},
	})
	reflector.RunWithContext(ctx)
}
