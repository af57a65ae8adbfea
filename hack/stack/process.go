// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/link"
	"github.com/hexcovery/apikey-operator/hack/process"
)

const (
	// podTimeout bounds how long it is tried to make a pod, and podInterval is how often.
	podTimeout  = time.Minute
	podInterval = 200 * time.Millisecond

	podUIDVariable = "POD_UID="
)

// Process is a program of the product, in a pod of its own. A restart of it is what that
// of a container in its pod is: same addresses, same pod UID.
type Process struct {
	*process.Process
	// Link is what it reaches the API server through; nil without Options.Links.
	Link *link.Link

	plane *controlplane.ControlPlane
	// account is the ServiceAccount of its pods, whose tokens are in kubeconfig: the
	// policy apikey-leases reads the pod that the token names.
	account, kubeconfig string

	mu sync.Mutex
	// podUID is empty while its pod is still to be made.
	podUID types.UID
}

// Start starts the program, in the pod that it was in or, if that is still to be made, in
// another one, and returns when it is ready.
func (p *Process) Start(ctx context.Context) error {
	if p.PodUID() == "" {
		if err := p.enterPod(ctx); err != nil {
			return fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	// Whatever the launch has been changed to since.
	p.Change(func(l *process.Launch) {
		l.Env = slices.DeleteFunc(l.Env, func(variable string) bool { return strings.HasPrefix(variable, podUIDVariable) })
		l.Env = append(l.Env, podUIDVariable+p.PodUID())
	})
	return p.Process.Start(ctx)
}

// enterPod makes the pod that the program is going to be. It goes on trying while the API
// server is away, as whoever makes pods in a cluster does.
func (p *Process) enterPod(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, podTimeout, fmt.Errorf("no pod in %s", podTimeout))
	defer cancel()
	return process.Ready(p.makePod).Await(ctx, podInterval)
}

func (p *Process) makePod(ctx context.Context) error {
	config, uid, err := p.plane.Pod(ctx, Namespace, p.account, p.Name+"-"+rand.String(5))
	if err != nil {
		return err
	}
	if p.Link != nil {
		p.Link.Through(config)
	}
	if err := controlplane.WriteKubeconfig(config, p.kubeconfig); err != nil {
		return err
	}
	p.setPodUID(uid)
	return nil
}

// NewPod has the next start be that of another pod: its UID is another one, so
// that nothing of the former process is taken over.
func (p *Process) NewPod() { p.setPodUID("") }

func (p *Process) setPodUID(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.podUID = uid
}

// PodUID is the UID of the pod that it was started as. An auth server's Lease bears it. It
// is empty from NewPod to the next start.
func (p *Process) PodUID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.podUID)
}
