// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/audit/trail"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

// auditOptions say where the audit trail goes, and hold it once it is open.
type auditOptions struct {
	log      *string
	recorder *audit.Recorder
	refusals *audit.Refusals
}

func (o *auditOptions) bind(flags *flag.FlagSet) { o.log = trail.Flag(flags) }

// open begins the trail of the auth server of that name. It goes on until close was called, which
// has to be after the last request was answered.
func (o *auditOptions) open(ctx context.Context, name string) (closeTrail func(), err error) {
	log := ctrl.Log.WithName("audit")
	o.recorder, err = trail.Open(ctx, *o.log, "authserver", metrics.Registry, log)
	if err != nil {
		return nil, err
	}
	o.refusals = audit.NewRefusals(o.recorder, audit.AuthServer(name), clock.RealClock{}, log)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- o.refusals.Run(running) }()
	return func() {
		stop()
		if err := <-ended; err != nil {
			log.Error(err, "record refusals")
		}
		if err := o.recorder.Close(); err != nil {
			log.Error(err, "close the audit trail")
		}
	}, nil
}

// surfaceChanged records the changes of the surface in a file.
func (o *auditOptions) surfaceChanged(file string) func(surface.Change) {
	if o.recorder == nil {
		return nil
	}
	log := ctrl.Log.WithName("audit")
	return func(change surface.Change) {
		event := audit.Event{
			Action: audit.SurfaceChanged, Object: audit.Object{Kind: "Surface", Name: file}, Actor: audit.ByFile(file),
			Before: change.Before, After: change.After,
			Reason: "Accepted", Message: fmt.Sprintf("%d rules are in force", change.Rules),
		}
		if change.Err != nil {
			event.Reason = "Refused"
			event.Message = fmt.Sprintf("the previous surface stays in force, with %d rules: %v", change.Rules, change.Err)
		}
		if err := o.recorder.Record(event); err != nil {
			log.Error(err, "audit line lost", "action", event.Action)
		}
	}
}
