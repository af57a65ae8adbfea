// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/mount"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

// collectorShipper is an OpenTelemetry Collector with a file of
// config/gateways/otel-collector and the Secret as a volume, which it reads by itself
// when that changes. A program without any key sends to it.
type collectorShipper struct {
	about
	// config is the name of the file, and changes what the test gives to it beside the
	// addresses of the receiver and the places of files.
	config  string
	changes func() (map[string]any, error)

	volume  mount.Volume
	process *process.Process
	feeder  *podShipper
}

func newHTTPCollector(a about, endpoint string) *collectorShipper {
	return &collectorShipper{about: a, config: "otlp-http.yaml", changes: func() (map[string]any, error) {
		return map[string]any{"exporters": map[string]any{"otlp_http": map[string]any{"endpoint": endpoint}}}, nil
	}}
}

// newGRPCCollector returns one that sends over TLS: without, it refuses to send a key.
func newGRPCCollector(a about, endpoint, authority string) *collectorShipper {
	return &collectorShipper{about: a, config: "otlp-grpc.yaml", changes: func() (map[string]any, error) {
		return map[string]any{"exporters": map[string]any{"otlp_grpc": map[string]any{
			"endpoint": endpoint, "tls": map[string]any{"ca_file": authority},
		}}}, nil
	}}
}

func (s *collectorShipper) repeats() bool { return false }

func (s *collectorShipper) streams() []recorder.Stream { return s.feeder.streams() }

func (s *collectorShipper) start(ctx context.Context, secret map[string][]byte) error {
	dir, err := s.folder()
	if err != nil {
		return err
	}
	s.volume = mount.Volume(filepath.Join(dir, "key"))
	if err := s.volume.Update(secret); err != nil {
		return err
	}
	var receiver string
	s.process, err = process.StartOnFreePorts(ctx, 2, func(addresses []string) (*process.Process, error) {
		receiver = addresses[0]
		launching, err := s.launch(dir, addresses[0], addresses[1])
		return process.New(s.title, dir, launching, process.Listens(receiver)), err
	})
	if err != nil {
		return err
	}
	s.feeder = newPodShipper(about{s.title + "-feeder", s.namespace}, "http/protobuf", "http://"+receiver)
	return s.feeder.start(ctx, nil)
}

// launch has the collector read its file, and after that another one, which overrides.
func (s *collectorShipper) launch(dir, receiverHTTP, receiverGRPC string) (process.Launch, error) {
	overrides, err := s.changes()
	if err != nil {
		return process.Launch{}, err
	}
	overrides["extensions"] = map[string]any{
		"bearertokenauth": map[string]any{"filename": s.volume.Path("api-key")},
		"file_storage":    map[string]any{"directory": filepath.Join(dir, "queue")},
	}
	overrides["receivers"] = map[string]any{"otlp": map[string]any{"protocols": map[string]any{
		"http": map[string]any{"endpoint": receiverHTTP}, "grpc": map[string]any{"endpoint": receiverGRPC},
	}}}
	// Of itself it tells nobody, least of all on a port that others use.
	overrides["service"] = map[string]any{"telemetry": map[string]any{"metrics": map[string]any{"level": "none"}}}
	data, err := json.Marshal(overrides)
	if err != nil {
		return process.Launch{}, err
	}
	path := filepath.Join(dir, "overrides.yaml") // JSON is YAML
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return process.Launch{}, err
	}
	config := filepath.Join(world.root, "config", "gateways", "otel-collector", s.config)
	return process.Launch{Path: world.collector, Args: []string{"--config=" + config, "--config=" + path}}, nil
}

func (s *collectorShipper) replace(_ context.Context, secret map[string][]byte) error {
	return s.volume.Update(secret)
}

func (s *collectorShipper) finish(ctx context.Context) (map[recorder.Stream][]int64, error) {
	streams := s.feeder.streams()
	sent, err := s.feeder.finish(ctx)
	if err != nil {
		return nil, err
	}
	// What it has not sent yet it would keep on disk, for its next start.
	for _, stream := range streams {
		err := world.store.Await(ctx, stream, func(t recorder.Tally) bool { return len(t) >= len(sent[stream]) })
		if err != nil {
			return nil, err
		}
	}
	if err := s.process.Stop(ctx); err != nil {
		return nil, err
	}
	log, err := os.ReadFile(s.process.LogPath)
	if err == nil && bytes.Contains(log, []byte("Dropping data")) {
		err = errors.New("the collector says that it dropped data")
	}
	return sent, err
}
