// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simNetwork is how well the network between one process and the API server works.
type simNetwork struct {
	// latency of each message is up to this.
	latency time.Duration
	// slow is the share of messages that take up to slowest.
	slow    float64
	slowest time.Duration
	// lost is the share of requests that fail, before or after they took effect.
	lost float64
	// lag is the share of watch events that are up to slowest late.
	lag float64
	// breaks is the share of watch events after which the stream ends.
	breaks float64
	// loses, doubles and swaps are the shares of watch events that never come, come
	// twice, or come after the next: what no API server is to do.
	loses, doubles, swaps float64
	// streamedLists: the API server can send the first list through a watch.
	streamedLists bool
}

// simLink is a process' connection to the API server. It is what the code under
// test takes for its client.
type simLink struct {
	client.WithWatch // What is not made here is not to be called.

	api     *simAPI
	process *simProcess
	network simNetwork
	// whole lets everything through, requests and answers what goes in one direction,
	// streams the events of watches.
	whole, requests, answers, streams *simGate
	// blind: what is not a Lease can be neither listed nor watched, as where an object
	// cannot be read.
	blind *simSwitch
	// forever is shut when the streams that are open are to bring nothing ever again.
	forever atomic.Pointer[simGate]
	log     func(format string, args ...any)
	// deleted is called, if it is there, when something was deleted.
	deleted func()
}

var (
	errSimLost = errors.New("connection reset by peer")
	errSimDead = errors.New("the process is dead")
)

// simCall is one request on its way.
type simCall struct {
	verb string
	kind simKind
	// effect is what it does at the API server, at one instant.
	effect func() error
	// writes: it may take effect after its sender has given up on it.
	writes bool
}

// delay draws how long a message takes.
func (l *simLink) delay() time.Duration {
	d := l.process.rng.upTo(l.network.latency) + 10*time.Microsecond
	if !l.process.calm.Load() && l.process.rng.chance(l.network.slow) {
		d += l.process.rng.upTo(l.network.slowest)
	}
	return d
}

// lost draws whether a message gets lost.
func (l *simLink) lost() bool {
	return !l.process.calm.Load() && l.process.rng.chance(l.network.lost/2)
}

// do carries a request to the API server and its answer back.
func (l *simLink) do(ctx context.Context, call simCall) error {
	l.process.breathe()
	if l.process.dead.Load() {
		return errSimDead
	}
	if !l.travel(ctx, l.delay(), l.requests) {
		if call.writes && l.process.rng.chance(0.5) {
			go l.arriveLate(call)
		}
		return l.gaveUp(ctx)
	}
	if l.lost() || l.api.served() == nil || call.kind != simLeases && l.blind.isOn() {
		l.process.breathe()
		return errSimLost
	}
	err := call.effect()
	if !l.travel(ctx, l.delay(), l.answers) {
		return l.gaveUp(ctx)
	}
	l.process.breathe()
	switch {
	case l.lost():
		return errSimLost
	case l.process.dead.Load():
		return errSimDead
	case ctx.Err() != nil && l.process.rng.chance(0.5):
		// A process that wakes up finds an answer and a deadline that has passed, and
		// may look at either first.
		return ctx.Err()
	}
	return err
}

// arriveLate has a write take effect that its sender has given up on: what is held up
// in the network may still arrive.
func (l *simLink) arriveLate(call simCall) {
	<-time.After(l.process.rng.upTo(3 * time.Second))
	for _, gate := range []*simGate{l.whole, l.requests} {
		for gate.isShut() {
			<-gate.open()
		}
	}
	if l.api.served() == nil {
		return
	}
	err := call.effect()
	l.log("%s %s, given up on, takes effect: %v", call.verb, call.kind, err)
}

// open lets everything through again.
func (l *simLink) open() {
	l.blind.set(false)
	for _, gate := range []*simGate{l.process.paused, l.whole, l.requests, l.answers, l.streams} {
		gate.set(false)
	}
}

// gaveUp is the error of a request that its sender has given up on.
func (l *simLink) gaveUp(ctx context.Context) error {
	l.process.breathe()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errSimLost
}

// hung is after how long a connection that brings nothing is given up on, as HTTP/2
// pings have it.
const hung = 20 * time.Second

// travel lets d pass, and the time for which the network is cut, or this direction of
// it. It returns false if the sender gives up on it.
func (l *simLink) travel(ctx context.Context, d time.Duration, direction *simGate) bool {
	arrived, broken := time.NewTimer(d), time.NewTimer(d+hung)
	defer arrived.Stop()
	defer broken.Stop()
	done := ctx.Done()
	var resumed, opened <-chan struct{}
	clock := arrived.C
	for {
		select {
		case <-clock:
			clock, opened = nil, l.whole.open()
		case <-opened:
			switch {
			case l.whole.isShut():
				opened = l.whole.open()
			case direction.isShut():
				opened = direction.open()
			default:
				return true
			}
		case <-broken.C:
			return false
		case <-resumed:
			return false
		case <-done:
			if !l.process.paused.isShut() || l.process.dead.Load() {
				return false
			}
			// A paused process does not look at its deadlines.
			done, resumed = nil, l.process.paused.open()
		}
	}
}

func (l *simLink) Get(ctx context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	found := obj.DeepCopyObject().(client.Object)
	err := l.do(ctx, simCall{verb: "get", kind: simKindOf(obj), effect: func() error { return l.api.get(found, key) }})
	if err == nil {
		simAssign(obj, found)
	}
	return err
}

func (l *simLink) Create(ctx context.Context, obj client.Object, _ ...client.CreateOption) error {
	return l.write(ctx, "create", obj, l.api.create)
}

func (l *simLink) Update(ctx context.Context, obj client.Object, _ ...client.UpdateOption) error {
	return l.write(ctx, "update", obj, l.api.update)
}

func (l *simLink) write(ctx context.Context, verb string, obj client.Object, effect func(client.Object) (client.Object, error)) error {
	sent := simCopy(obj)
	var stored client.Object
	err := l.do(ctx, simCall{verb: verb, kind: simKindOf(obj), writes: true, effect: func() (err error) {
		stored, err = effect(sent)
		l.log("%s %s: %s", verb, simDescribe(sent), simOutcome{stored, err})
		return err
	}})
	if err == nil {
		simAssign(obj, stored)
	}
	return err
}

func (l *simLink) Delete(ctx context.Context, obj client.Object, options ...client.DeleteOption) error {
	given := &client.DeleteOptions{}
	given.ApplyOptions(options)
	sent := simCopy(obj)
	return l.do(ctx, simCall{verb: "delete", kind: simKindOf(obj), writes: true, effect: func() error {
		err := l.api.remove(sent, given.Preconditions)
		if err == nil && l.deleted != nil {
			l.deleted()
		}
		l.log("delete %s: %s", simDescribe(sent), simOutcome{nil, err})
		return err
	}})
}

func (l *simLink) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	given := &client.ListOptions{}
	given.ApplyOptions(options)
	asked := *given.AsListOptions()
	var objects []client.Object
	var revision int64
	kind := simKindOf(list)
	err := l.do(ctx, simCall{verb: "list", kind: kind, effect: func() (err error) {
		l.process.rng.draw(func(rng *rand.Rand) { objects, revision, err = l.api.read(kind, asked, rng) })
		return err
	}})
	if err != nil {
		return err
	}
	more := ""
	if limit := int(asked.Limit); limit > 0 && limit < len(objects) {
		objects, more = objects[:limit], "more"
	}
	meta := metav1.ListMeta{ResourceVersion: simRevision(revision), Continue: more}
	switch list := list.(type) {
	case *v1alpha1.APIKeyList:
		list.ListMeta, list.Items = meta, simItems[v1alpha1.APIKey](objects)
	case *v1alpha1.OrganizationList:
		list.ListMeta, list.Items = meta, simItems[v1alpha1.Organization](objects)
	case *metav1.PartialObjectMetadataList:
		list.ListMeta, list.Items = meta, simItems[metav1.PartialObjectMetadata](objects)
	case *coordinationv1.LeaseList:
		list.ListMeta, list.Items = meta, simItems[coordinationv1.Lease](objects)
	}
	return nil
}

// simItems are copies of objects as a list has them.
func simItems[T any, P interface {
	*T
	client.Object
}](objects []client.Object) []T {
	items := make([]T, len(objects))
	for i := range objects {
		simAssign(P(&items[i]), objects[i])
	}
	return items
}

func (l *simLink) Watch(ctx context.Context, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	given := &client.ListOptions{}
	given.ApplyOptions(options)
	asked := *given.AsListOptions()
	streamed := asked.SendInitialEvents != nil && *asked.SendInitialEvents
	stream := newSimStream(l, simKindOf(list))
	err := l.do(ctx, simCall{verb: "watch", kind: stream.kind, effect: func() (err error) {
		switch {
		case streamed && !l.network.streamedLists:
			return apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)
		case !streamed && l.lost():
			return apierrors.NewResourceExpired("too old resource version")
		}
		return stream.begin(asked, streamed)
	}})
	if err != nil {
		return nil, err
	}
	go stream.run()
	return stream, nil
}
