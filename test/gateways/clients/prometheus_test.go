// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/mount"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

// prometheusShipper is a Prometheus with a file of config/gateways/prometheus. It
// scrapes a number that grows with each scrape.
type prometheusShipper struct {
	about
	// program is the path of prometheus, and config the name of the file.
	program, config string
	// endpoint is the gateway.
	endpoint string
	// reloads says that the key is in the configuration, which is read again on SIGHUP.
	reloads bool

	dir     string
	volume  mount.Volume
	process *process.Process
	address string
	target  *httptest.Server
	scrapes atomic.Int64
	ending  atomic.Bool
	secrets []map[string][]byte
}

func (s *prometheusShipper) repeats() bool { return s.reloads }

func (s *prometheusShipper) streams() []recorder.Stream {
	return []recorder.Stream{{Client: s.title, Signal: recorder.Samples}}
}

func (s *prometheusShipper) start(ctx context.Context, secret map[string][]byte) (err error) {
	if s.dir, err = s.folder(); err != nil {
		return err
	}
	s.volume = mount.Volume(filepath.Join(s.dir, "key"))
	if err := s.volume.Update(secret); err != nil {
		return err
	}
	s.target = httptest.NewServer(http.HandlerFunc(s.serveScrape))
	s.secrets = []map[string][]byte{secret}
	if err := s.configure(0); err != nil {
		return err
	}
	s.process, err = process.StartOnFreePorts(ctx, 1, func(addresses []string) (*process.Process, error) {
		s.address = addresses[0]
		launching := process.Launch{Path: s.program, Args: []string{
			"--config.file=" + s.configPath(), "--storage.tsdb.path=" + filepath.Join(s.dir, "data"),
			"--web.listen-address=" + s.address, "--web.enable-lifecycle",
		}}
		return process.New(s.title, s.dir, launching, func(ctx context.Context) error {
			_, err := s.get(ctx, "/-/ready")
			return err
		}), nil
	})
	return err
}

// serveScrape is the target.
func (s *prometheusShipper) serveScrape(w http.ResponseWriter, _ *http.Request) {
	if s.ending.Load() {
		http.Error(w, "no more numbers", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "# TYPE %s gauge\n%[1]s %d\n", recorder.NumberedMetric, s.scrapes.Add(1))
}

func (s *prometheusShipper) configPath() string { return filepath.Join(s.dir, "prometheus.yml") }

// configure writes the configuration: what is in the file of config/gateways, once for
// each Secret from the first on, with addresses and a target.
func (s *prometheusShipper) configure(first int) error {
	file, err := os.ReadFile(filepath.Join(world.root, "config", "gateways", "prometheus", s.config))
	if err != nil {
		return err
	}
	var whole map[string]any
	var writes []any
	for i, secret := range s.secrets[first:] {
		text := os.Expand(string(file), func(name string) string { return string(secret[name]) })
		text = strings.ReplaceAll(text, "https://hexcovery.example.com", "http://"+s.endpoint)
		text = strings.ReplaceAll(text, "/etc/hexcovery/key/api-key", s.volume.Path("api-key"))
		whole = nil
		if err := yaml.Unmarshal([]byte(text), &whole); err != nil {
			return errors.New("the configuration of Prometheus is no YAML") // err could quote it
		}
		for _, write := range whole["remote_write"].([]any) {
			write := write.(map[string]any)
			// Each key has a queue of its own, which keeps its name.
			write["name"] = fmt.Sprintf("%v-%d", write["name"], first+i)
			// Small batches, many of them.
			write["queue_config"].(map[string]any)["batch_send_deadline"] = "250ms"
			writes = append(writes, write)
		}
	}
	whole["remote_write"] = writes
	whole["global"] = map[string]any{
		"scrape_interval": "250ms", "scrape_timeout": "250ms",
		"external_labels": map[string]any{recorder.ClientLabel: s.title},
	}
	whole["scrape_configs"] = []any{map[string]any{
		"job_name":       "numbers",
		"static_configs": []any{map[string]any{"targets": []string{strings.TrimPrefix(s.target.URL, "http://")}}},
	}}
	data, err := yaml.Marshal(whole)
	if err != nil {
		return errors.New("the configuration of Prometheus cannot be written")
	}
	return os.WriteFile(s.configPath(), data, 0o600)
}

// replace swaps the mounted file or, where the key is in the configuration, has the new
// key beside the old one for a while.
func (s *prometheusShipper) replace(ctx context.Context, secret map[string][]byte) error {
	if !s.reloads {
		return s.volume.Update(secret)
	}
	s.secrets = append(s.secrets, secret)
	if err := s.reload(ctx, 0); err != nil {
		return err
	}
	// The queue of the new key sends what is scraped after its start. When some of that
	// has arrived, the other one has nothing to send that this one does not.
	err := world.store.Await(ctx, s.streams()[0], func(t recorder.Tally) bool { return len(t.Twice()) >= some })
	if err != nil {
		return err
	}
	return s.reload(ctx, 1)
}

// reload returns when Prometheus works with the configuration of the Secrets from the
// first on.
func (s *prometheusShipper) reload(ctx context.Context, first int) error {
	if err := s.configure(first); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/-/reload", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("reload: %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

func (s *prometheusShipper) finish(ctx context.Context) (map[recorder.Stream][]int64, error) {
	s.ending.Store(true)
	defer s.target.Close()
	// A scrape that failed came after all those that did not.
	err := eventually(ctx, func() (bool, error) {
		up, err := s.query(ctx, "up == 0")
		return len(up) == 1, err
	})
	if err != nil {
		return nil, err
	}
	stream := s.streams()[0]
	numbers, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	err = world.store.Await(ctx, stream, func(t recorder.Tally) bool { return len(t.Missing(numbers)) == 0 })
	return map[recorder.Stream][]int64{stream: numbers}, errors.Join(err, s.complaints(ctx), s.process.Stop(ctx))
}

// get asks Prometheus itself.
func (s *prometheusShipper) get(ctx context.Context, target string) ([]byte, error) {
	return fetch(ctx, "http://"+s.address+target)
}

// result is one series of what a query finds.
type result struct {
	Metric map[string]string
	Values [][2]any
}

func (s *prometheusShipper) query(ctx context.Context, promQL string) ([]result, error) {
	body, err := s.get(ctx, "/api/v1/query?query="+url.QueryEscape(promQL))
	if err != nil {
		return nil, err
	}
	var answer struct{ Data struct{ Result []result } }
	err = json.Unmarshal(body, &answer)
	return answer.Data.Result, err
}

// stored are the numbers that Prometheus has scraped and kept, and so has to send.
func (s *prometheusShipper) stored(ctx context.Context) ([]int64, error) {
	results, err := s.query(ctx, recorder.NumberedMetric+"[1h]")
	if err != nil {
		return nil, err
	}
	numbers := map[int64]bool{}
	for _, series := range results {
		for _, value := range series.Values {
			number, err := strconv.ParseInt(value[1].(string), 10, 64)
			if err != nil {
				return nil, err
			}
			numbers[number] = true
		}
	}
	return slices.Sorted(maps.Keys(numbers)), nil
}

// lost are the metrics of samples that Prometheus gave up.
var lost = regexp.MustCompile(`(?m)^(prometheus_remote_storage_samples_(?:failed|dropped)_total\{.*\}) ([^0].*)$`)

func (s *prometheusShipper) complaints(ctx context.Context) error {
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	var errs []error
	for _, match := range lost.FindAllSubmatch(body, -1) {
		errs = append(errs, fmt.Errorf("%s is %s", match[1], match[2]))
	}
	return errors.Join(errs...)
}
