// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// leases returns those of the auth servers.
func leases(t *testing.T, s *Stack) []coordinationv1.Lease {
	t.Helper()
	c, err := client.New(s.ControlPlane.Admin(), client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	list := &coordinationv1.LeaseList{}
	if err := c.List(t.Context(), list, client.InNamespace(Namespace), registry.LeaseLabels()); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// checkGRPC asks the auth server whether it serves Envoy.
func checkGRPC(t *testing.T, server *AuthServer) {
	t.Helper()
	connection, err := grpc.NewClient(server.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	health, err := grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "envoy.service.auth.v3.Authorization"})
	if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("over gRPC: %v, %v", health, err)
	}
}

// TestProcessesEndAndComeBack is about what tests of faults rest on.
func TestProcessesEndAndComeBack(t *testing.T) {
	s, err := Start(t.Context(), Options{AuthServers: 1, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	server := s.AuthServers[0]
	before := leases(t, s)
	checkGRPC(t, server)

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	ready := process.Answers(server.Operations + "/readyz")
	if ready(t.Context()) == nil {
		t.Error("it answers after it was killed")
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := leases(t, s)
	if len(before) != 1 || len(after) != 1 || before[0].UID != after[0].UID || *before[0].Spec.HolderIdentity == *after[0].Spec.HolderIdentity {
		t.Errorf("a process that comes back takes its Lease over: before %v, after %v", before, after)
	}

	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	// The signal is on its way when Pause returns: one answer or another may come.
	paused := false
	for range 25 {
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		paused = ready(short) != nil
		cancel()
		if paused {
			break
		}
	}
	if !paused {
		t.Error("it answers while it is paused")
	}
	// Stop ends one that is paused, too.
	if err := server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if left := leases(t, s); len(left) != 0 {
		t.Errorf("a graceful stop leaves Leases: %v", left)
	}

	// What was changed for a while is put back when it is in another pod.
	var launch process.Launch
	server.Change(func(l *process.Launch) { launch = *l })
	server.NewPod()
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	server.Change(func(l *process.Launch) { *l = launch })
	if err := server.Start(t.Context()); err != nil {
		t.Error(err)
	}
}
