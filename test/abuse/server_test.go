// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

const (
	// asServer is set where this program is to be a server, to the URL of its upstream.
	asServer = "HEXCOVERY_ABUSED_UPSTREAM"
	// acceptedKeys has the key IDs of the two keys that are good, of two organizations.
	acceptedKeys = "HEXCOVERY_ABUSED_KEYS"
	// stallTimeout is short, so that tests need not wait for a minute. All other bounds are
	// those of the program.
	stallTimeout = 2 * time.Second
)

func TestMain(m *testing.M) {
	if upstream := os.Getenv(asServer); upstream != "" {
		if err := serve(upstream, strings.Split(os.Getenv(acceptedKeys), ",")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fewKeys is a registry with some keys, each of an organization of its own.
type fewKeys []string

func (k fewKeys) Authenticate(d keys.Digest) (registry.Grant, registry.Verdict) {
	if !slices.Contains(k, d.KeyID()) {
		return registry.Grant{}, registry.Unknown
	}
	return registry.Grant{KeyID: d.KeyID(), Namespace: "team", Name: "agent", Organization: "of-" + d.KeyID(), Scopes: scope.All()}, registry.Accepted
}

func (k fewKeys) Ready() bool { return true }

// addresses are what a server listens on.
type addresses struct{ Gateways, Proxy, GRPC, Operations string }

// serve serves until its standard input ends.
func serve(upstream string, accepted []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector())
	config := webhook.Config{
		Authenticator: fewKeys(accepted), Surface: surface.Default(), OrganizationHeader: webhook.DefaultOrganizationHeader,
		ShutdownTimeout: time.Second, StallTimeout: stallTimeout,
		Clock: clock.RealClock{}, Log: logr.Discard(), Connections: serving.NewMetrics(), Gatherer: metrics,
	}
	var err error
	if config.Upstream, err = webhook.ParseUpstream(upstream); err != nil {
		return err
	}
	for _, l := range []*net.Listener{&config.Gateways, &config.Proxy, &config.GRPC, &config.Operations} {
		if *l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	server, err := webhook.New(config)
	if err != nil {
		return err
	}
	if err := errors.Join(metrics.Register(server), metrics.Register(config.Connections)); err != nil {
		return err
	}
	listening := addresses{config.Gateways.Addr().String(), config.Proxy.Addr().String(), config.GRPC.Addr().String(), config.Operations.Addr().String()}
	if err := json.NewEncoder(os.Stdout).Encode(listening); err != nil {
		return err
	}
	return server.Run(ctx)
}

// server is a server in a process of its own.
type server struct {
	addresses
	// key is that of valid requests, and abused the attacker's.
	key, abused string
	pid         int
}

// startServer runs one until the test ends.
func startServer(t *testing.T, upstream string) *server {
	t.Helper()
	key, id := mint(t)
	abused, abusedID := mint(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	// As much of the machine as the valid requests have.
	command.Env = append(os.Environ(), asServer+"="+upstream, acceptedKeys+"="+id+","+abusedID, "GOMEMLIMIT=460MiB")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{key: key, abused: abused, pid: command.Process.Pid}
	t.Cleanup(func() {
		stdin.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	if err := json.NewDecoder(stdout).Decode(&s.addresses); err != nil {
		t.Fatal(err)
	}
	return s
}

// mint makes a key, and returns its ID, too.
func mint(t *testing.T) (key, id string) {
	t.Helper()
	plaintext, err := keys.Mint()
	if err != nil {
		t.Fatal(err)
	}
	data, err := plaintext.SecretData(nil, keys.Variables{})
	if err != nil {
		t.Fatal(err)
	}
	return string(data["api-key"]), plaintext.Digest().KeyID()
}

// holdings are what a server holds at a moment.
type holdings struct {
	// resident is in bytes.
	resident                             int
	descriptors, goroutines, connections int
}

func (s *server) holdings(t *testing.T) holdings {
	t.Helper()
	h := holdings{goroutines: int(s.metric(t, "go_goroutines")), connections: int(s.metric(t, "apikey_server_connections"))}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		t.Skipf("how much memory another process takes is known on Linux: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kilobytes)[0])
			if err != nil {
				t.Fatal(err)
			}
			h.resident = n << 10
		}
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	h.descriptors = len(open)
	return h
}

// metric returns the sum of a metric.
func (s *server) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	client := &http.Client{Timeout: answerTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + s.Operations + "/metrics")
	// The port may be what is abused.
	for began := time.Now(); err != nil && time.Since(began) < answerTimeout; {
		response, err = client.Get("http://" + s.Operations + "/metrics")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[:at] != name && !strings.HasPrefix(line, name+"{") {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}
