// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"

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

	// enter makes a pod for the program to be, and returns its UID; nil for a program
	// that no pod has to be there for.
	enter func(context.Context) (types.UID, error)

	mu sync.Mutex
	// podUID is empty while the pod that enter makes is still to be made.
	podUID string
}

// Start starts the program in its pod, and returns when it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.enterPod(ctx); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	return p.Process.Start(ctx)
}

// enterPod makes the pod that the program is going to be, if there is none yet. It goes on
// trying while the API server is away, as whoever makes pods in a cluster does.
func (p *Process) enterPod(ctx context.Context) error {
	if p.PodUID() != "" {
		return nil
	}
	var uid types.UID
	var last error
	ctx, cancel := context.WithTimeoutCause(ctx, podTimeout, fmt.Errorf("no pod in %s", podTimeout))
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, podInterval, true, func(ctx context.Context) (bool, error) {
		uid, last = p.enter(ctx)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(context.Cause(ctx), last)
	}
	p.bePod(string(uid))
	return nil
}

// bePod has the next start be that of a pod with this UID, which may be still to be made.
func (p *Process) bePod(uid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.podUID = uid
	p.Change(func(l *process.Launch) {
		l.Env = slices.DeleteFunc(l.Env, func(variable string) bool { return strings.HasPrefix(variable, podUIDVariable) })
		l.Env = append(l.Env, podUIDVariable+uid)
	})
}

// NewPod has the next start be that of another pod: its UID is another one, so
// that nothing of the former process is taken over.
func (p *Process) NewPod() {
	if p.enter != nil {
		p.bePod("")
		return
	}
	p.bePod(string(uuid.NewUUID()))
}

// PodUID is the UID of the pod that it was started as. An auth server's Lease bears it. It
// is empty from NewPod to the next start.
func (p *Process) PodUID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.podUID
}
