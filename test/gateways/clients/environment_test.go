// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/mount"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

// podShipper is a Deployment with one pod, whose program has an OpenTelemetry SDK in it
// and everything in its environment: the Secret through envFrom. An environment cannot
// change, so another key means another pod: the new one starts before the old one ends.
type podShipper struct {
	about
	// entrance is the name of that which it sends to.
	entrance string
	// environment is what the pod has beside the Secret.
	environment []string

	count    int
	pod      *pod
	sent     map[recorder.Stream][]int64
	failures []error
}

// pod is one life of the program.
type pod struct {
	*process.Process
	service string
}

// newPodShipper returns one that sends over the protocol, as
// OTEL_EXPORTER_OTLP_PROTOCOL has it.
func newPodShipper(a about, protocol, endpoint string) *podShipper {
	return &podShipper{about: a, sent: map[recorder.Stream][]int64{}, environment: []string{
		"OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint,
		"OTEL_EXPORTER_OTLP_INSECURE=true",
		// Small batches, many of them.
		"OTEL_BSP_SCHEDULE_DELAY=200", "OTEL_BLRP_SCHEDULE_DELAY=200", "OTEL_METRIC_EXPORT_INTERVAL=200",
		// So long that a batch is sent again for as long as the SDK does that by itself, a
		// minute: see docs/clients.md. The first of them counts every attempt over gRPC.
		"OTEL_EXPORTER_OTLP_TIMEOUT=90000",
		"OTEL_BSP_EXPORT_TIMEOUT=90000", "OTEL_BLRP_EXPORT_TIMEOUT=90000", "OTEL_METRIC_EXPORT_TIMEOUT=90000",
	}}
}

func (s *podShipper) repeats() bool { return false }

func (s *podShipper) start(ctx context.Context, secret map[string][]byte) (err error) {
	s.pod, err = s.newPod(ctx, secret)
	return err
}

func (s *podShipper) replace(ctx context.Context, secret map[string][]byte) error {
	next, err := s.newPod(ctx, secret)
	if err != nil {
		return err
	}
	err = s.end(ctx)
	s.pod = next
	return err
}

func (s *podShipper) finish(ctx context.Context) (map[recorder.Stream][]int64, error) {
	return s.sent, errors.Join(append(s.failures, s.end(ctx))...)
}

func (s *podShipper) streams() []recorder.Stream { return s.pod.streams() }

func (p *pod) streams() (streams []recorder.Stream) {
	for _, signal := range []recorder.Signal{recorder.Traces, recorder.Metrics, recorder.Logs} {
		streams = append(streams, recorder.Stream{Client: p.service, Signal: signal})
	}
	return streams
}

// newPod starts a pod, which is ready when something of each signal has arrived.
func (s *podShipper) newPod(ctx context.Context, secret map[string][]byte) (*pod, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	s.count++
	p := &pod{service: fmt.Sprintf("%s-%d", s.title, s.count)}
	launching := process.Launch{Path: world.otlpclient, Env: append(mount.Env(secret), s.environment...)}
	launching.Env = append(launching.Env, "OTEL_SERVICE_NAME="+p.service)
	p.Process = process.New(p.service, dir, launching, func(context.Context) error {
		for _, stream := range p.streams() {
			if len(world.store.Tally(stream)) == 0 {
				return fmt.Errorf("nothing has arrived of its %s", stream.Signal)
			}
		}
		return nil
	})
	return p, p.Start(ctx)
}

// end stops the pod as the kubelet does, and reads what it says it has sent.
func (s *podShipper) end(ctx context.Context) error {
	if err := s.pod.Stop(ctx); err != nil {
		return err
	}
	data, err := os.ReadFile(s.pod.OutputPath)
	if err != nil {
		return err
	}
	var last map[recorder.Signal]int64
	if err := json.Unmarshal(data, &last); err != nil {
		return fmt.Errorf("%s: %w", s.pod.Name, err)
	}
	for signal, number := range last {
		s.sent[recorder.Stream{Client: s.pod.service, Signal: signal}] = upTo(number)
	}
	log, err := os.ReadFile(s.pod.LogPath)
	for line := range strings.Lines(string(log)) {
		if complaint, ok := strings.CutPrefix(line, "otlpclient: "); ok {
			s.failures = append(s.failures, fmt.Errorf("%s: %s", s.pod.Name, complaint))
		}
	}
	return err
}
