// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
)

// The names that config/ gives.
const (
	// Namespace is where the product is installed.
	Namespace = "hexcovery-system"
	// ManagerAccount and AuthServerAccount are the ServiceAccounts of the programs.
	ManagerAccount    = "apikey-manager"
	AuthServerAccount = "apikey-authserver"
)

// Manager is the process of the manager. It is ready before it leads: one that
// comes back after it was killed waits, some 15 seconds, until the Lease of the one
// before has run out.
type Manager struct {
	*Process
	// Metrics is the URL of its metrics.
	Metrics string
}

// AuthServer is the process of one auth server. The URLs have no path.
type AuthServer struct {
	*Process
	// Gateways is where gateways ask.
	Gateways string
	// GRPC is the address where Envoy asks over gRPC.
	GRPC string
	// Proxy is where clients send requests for the upstream; empty without one.
	Proxy string
	// Operations is where its probes and metrics are.
	Operations string
}

// User is what kube-apiserver's audit log calls the ServiceAccount of one of the
// programs.
func User(account string) string {
	return "system:serviceaccount:" + Namespace + ":" + account
}

func (s *Stack) newManager(ctx context.Context, number int) (*Manager, error) {
	addresses, err := FreeAddresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	metrics, probes := addresses[0], addresses[1]
	name := "manager"
	if number > 1 {
		name = fmt.Sprintf("manager-%d", number)
	}
	process, err := s.newProcess(ctx, name, ManagerAccount)
	if err != nil {
		return nil, err
	}
	process.launching.Path = s.programs.Manager
	process.launching.Args = append([]string{"--metrics-listen=" + metrics, "--probe-listen=" + probes}, s.options.ManagerFlags...)
	process.ready = answers("http://" + probes + "/readyz")
	return &Manager{Process: process, Metrics: "http://" + metrics}, nil
}

func (s *Stack) newAuthServer(ctx context.Context, number int) (*AuthServer, error) {
	addresses, err := FreeAddresses(ctx, 5)
	if err != nil {
		return nil, err
	}
	gateways, operations, proxy, grpc, usage := addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
	process, err := s.newProcess(ctx, fmt.Sprintf("authserver-%d", number), AuthServerAccount)
	if err != nil {
		return nil, err
	}
	process.launching.Path = s.programs.AuthServer
	process.launching.Args = []string{
		"--listen=" + gateways, "--grpc-listen=" + grpc, "--ops-listen=" + operations,
		// All programs end together, so nobody may be there to take what was counted.
		"--usage-listen=" + usage, "--usage-handover-timeout=1s",
		// Nobody sends requests here that would have to be told to go elsewhere.
		"--drain-delay=0s",
	}
	process.ready = answers("http://" + operations + "/readyz")
	server := &AuthServer{Process: process, Gateways: "http://" + gateways, GRPC: grpc, Operations: "http://" + operations}
	if s.options.Upstream != "" {
		process.launching.Args = append(process.launching.Args, "--upstream="+s.options.Upstream, "--proxy-listen="+proxy)
		server.Proxy = "http://" + proxy
	}
	process.launching.Args = append(process.launching.Args, s.options.AuthServerFlags...)
	return server, nil
}

// newProcess returns a process that has the rights of the ServiceAccount, and a
// UID of its own, as its pod would.
func (s *Stack) newProcess(ctx context.Context, name, account string) (*Process, error) {
	process := &Process{
		Name:       name,
		LogPath:    filepath.Join(s.ControlPlane.LogDir(), name+".log"),
		OutputPath: filepath.Join(s.ControlPlane.LogDir(), name+".out"),
		podUID:     string(uuid.NewUUID()),
	}
	var changes []func(*rest.Config)
	if s.options.Links {
		link, err := s.newLink(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		process.Link = link
		changes = append(changes, link.through)
	}
	kubeconfig := filepath.Join(s.ControlPlane.Dir(), name+".kubeconfig")
	if err := s.ControlPlane.ServiceAccountKubeconfig(ctx, Namespace, account, kubeconfig, changes...); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	process.launching.Env = []string{"KUBECONFIG=" + kubeconfig, "POD_NAMESPACE=" + Namespace, "POD_NAME=" + name}
	return process, nil
}

// newLink starts a Link that ends with the stack.
func (s *Stack) newLink(ctx context.Context) (*Link, error) {
	link, err := newLink(ctx, s.ControlPlane.Admin())
	if err != nil {
		return nil, err
	}
	s.linksMu.Lock()
	defer s.linksMu.Unlock()
	s.links = append(s.links, link)
	return link, nil
}

// Question returns what a gateway asks the auth server about a request with this
// key: the contract of nginx.
func (a *AuthServer) Question(ctx context.Context, method, target, key string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Gateways+"/auth/original", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", a.Name, err)
	}
	request.Header.Set("X-Original-Method", method)
	request.Header.Set("X-Original-Uri", target)
	request.Header.Set("X-Api-Key", key)
	return request, nil
}
