// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/link"
	"github.com/hexcovery/apikey-operator/hack/process"
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

func (s *Stack) newManager(number int, addresses []string) (*Manager, error) {
	metrics, probes := addresses[0], addresses[1]
	name := "manager"
	if number > 1 {
		name = fmt.Sprintf("manager-%d", number)
	}
	p, err := s.newProcess(name, ManagerAccount, probes, process.Launch{
		Path: s.options.Programs.Manager,
		Args: append([]string{"--metrics-listen=" + metrics, "--probe-listen=" + probes}, s.options.ManagerFlags...),
	})
	if err != nil {
		return nil, err
	}
	return &Manager{Process: p, Metrics: "http://" + metrics}, nil
}

func (s *Stack) newAuthServer(number int, addresses []string) (*AuthServer, error) {
	gateways, operations, proxy, grpc, usage := addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
	server := &AuthServer{Gateways: "http://" + gateways, GRPC: grpc, Operations: "http://" + operations}
	args := []string{
		"--listen=" + gateways, "--grpc-listen=" + grpc, "--ops-listen=" + operations,
		// All programs end together, so nobody may be there to take what was counted.
		"--usage-listen=" + usage, "--usage-handover-timeout=1s",
		// Nobody sends requests here that would have to be told to go elsewhere.
		"--drain-delay=0s",
	}
	if s.options.Upstream != "" {
		args = append(args, "--upstream="+s.options.Upstream, "--proxy-listen="+proxy)
		server.Proxy = "http://" + proxy
	}
	var err error
	server.Process, err = s.newProcess(fmt.Sprintf("authserver-%d", number), AuthServerAccount, operations, process.Launch{
		Path: s.options.Programs.AuthServer, Args: append(args, s.options.AuthServerFlags...),
	})
	if err != nil {
		return nil, err
	}
	return server, nil
}

// newProcess returns a process that says at probes whether it is ready.
func (s *Stack) newProcess(name, account, probes string, launch process.Launch) (*Process, error) {
	p := &Process{plane: s.ControlPlane, account: account, kubeconfig: filepath.Join(s.ControlPlane.Dir(), name+".kubeconfig")}
	launch.Env = []string{"KUBECONFIG=" + p.kubeconfig, "POD_NAMESPACE=" + Namespace, "POD_NAME=" + name}
	p.Process = process.New(name, s.ControlPlane.LogDir(), launch, process.Answers("http://"+probes+"/readyz"))
	if !s.options.Links {
		return p, nil
	}
	var err error
	if p.Link, err = link.ToAPIServer(s.ControlPlane.Admin()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.linksMu.Lock()
	defer s.linksMu.Unlock()
	s.links = append(s.links, p.Link) // They end with the stack.
	return p, nil
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

// Probe begins a Probe of every auth server with this key.
func (s *Stack) Probe(ctx context.Context, key string) (*Probe, error) {
	var questions []*http.Request
	for _, server := range s.AuthServers {
		question, err := server.Question(ctx, http.MethodPost, "/api/v1/dsl", key)
		if err != nil {
			return nil, err
		}
		questions = append(questions, question)
	}
	return StartProbe(ctx, questions...), nil
}
