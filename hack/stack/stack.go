// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/link"
	"github.com/hexcovery/apikey-operator/hack/process"
)

const (
	// base is what the API server has to know of the product.
	base = "config/base"
	// stopTimeout bounds the graceful end of all programs.
	stopTimeout = 30 * time.Second
)

// Options say what to start.
type Options struct {
	// ControlPlane is what to run on. Start sets its Apply and its Log.
	ControlPlane controlplane.Options

	// Programs are what is run; where they are not given, they are built from the
	// working tree.
	Programs Programs

	// Managers is how many managers there are; 0 is 1.
	Managers int

	// AuthServers is how many replicas there are; none is allowed.
	AuthServers int

	// Links has each program reach the API server through a Link of its own.
	Links bool

	// Upstream is the URL that each auth server is a reverse proxy for; empty for
	// no proxy.
	Upstream string

	// ManagerFlags and AuthServerFlags come after the flags that Start sets, and
	// so override them.
	ManagerFlags, AuthServerFlags []string

	// Log is told about progress.
	Log io.Writer
}

// Stack is the running product. Its fields are not to be changed.
type Stack struct {
	ControlPlane *controlplane.ControlPlane
	// Manager is the first of Managers.
	Manager     *Manager
	Managers    []*Manager
	AuthServers []*AuthServer

	options Options
	linksMu sync.Mutex
	links   []*link.Link
	stop    func() error
}

// Start builds and starts everything, and returns when every program is ready.
// ctx bounds the start only: what has been started runs until Stop.
func Start(ctx context.Context, options Options) (_ *Stack, err error) {
	options.ControlPlane.Log, options.ControlPlane.Apply = options.Log, []string{base}
	s := &Stack{options: options}
	s.stop = sync.OnceValue(s.end)
	if options.Programs == (Programs{}) {
		if s.options.Programs, err = Build(ctx, options.Log, ""); err != nil {
			return nil, fmt.Errorf("start stack: %w", err)
		}
	}
	if s.ControlPlane, err = controlplane.Start(ctx, options.ControlPlane); err != nil {
		return nil, fmt.Errorf("start stack: %w", err)
	}
	if err := s.startPrograms(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start stack: %w", err), s.Stop())
	}
	return s, nil
}

// startPrograms starts them all at once, as a cluster would.
func (s *Stack) startPrograms(ctx context.Context) error {
	began := time.Now()
	starting, ctx := errgroup.WithContext(ctx)
	s.Managers = make([]*Manager, max(s.options.Managers, 1))
	for i := range s.Managers {
		starting.Go(func() (err error) {
			s.Managers[i], err = process.StartOnFreePorts(ctx, 2, func(addresses []string) (*Manager, error) {
				return s.newManager(i+1, addresses)
			})
			return err
		})
	}
	s.AuthServers = make([]*AuthServer, s.options.AuthServers)
	for i := range s.AuthServers {
		starting.Go(func() (err error) {
			s.AuthServers[i], err = process.StartOnFreePorts(ctx, 5, func(addresses []string) (*AuthServer, error) {
				return s.newAuthServer(i+1, addresses)
			})
			return err
		})
	}
	err := starting.Wait()
	s.Manager = s.Managers[0]
	if err != nil {
		return err
	}
	managers := "the manager"
	if len(s.Managers) > 1 {
		managers = fmt.Sprintf("%d managers", len(s.Managers))
	}
	fmt.Fprintf(s.options.Log, "stack: %s and %d auth servers are ready in %.1f s\n", managers, len(s.AuthServers), time.Since(began).Seconds())
	return nil
}

// Processes returns every program of the product, managers first.
func (s *Stack) Processes() []*Process {
	var all []*Process
	for _, manager := range s.Managers {
		if manager != nil {
			all = append(all, manager.Process)
		}
	}
	for _, server := range s.AuthServers {
		if server != nil {
			all = append(all, server.Process)
		}
	}
	return all
}

// Stop ends the programs gracefully, all at once, and then the control plane. A
// program that had ended by itself, or ends with a failure, is an error. It takes
// no context: cleaning up is due also when that has ended.
func (s *Stack) Stop() error { return s.stop() }

func (s *Stack) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	processes := s.Processes()
	errs := make([]error, len(processes), len(processes)+1)
	var stopping sync.WaitGroup
	for i, p := range processes {
		stopping.Go(func() { errs[i] = p.Stop(ctx) })
	}
	stopping.Wait()
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	return errors.Join(append(errs, s.ControlPlane.Stop())...)
}
