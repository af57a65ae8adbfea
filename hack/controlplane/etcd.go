// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// everyKey is an etcdserverpb.RangeRequest from "\0" to "\0", in the JSON that etcd's gateway speaks on the client port, which
// spares a dependency on etcd's client. Bytes are base64 in it.
const everyKey = `{"key":"AA==","range_end":"AA=="}`

// DumpEtcd returns every value in etcd by its key, as of one revision. Values are as kube-apiserver stored them: custom
// resources as JSON, the rest as protobuf, in which strings and bytes stand as they are.
func (cp *ControlPlane) DumpEtcd(ctx context.Context) (map[string][]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, cp.etcdURL+"/v3/kv/range", strings.NewReader(everyKey))
	if err != nil {
		return nil, fmt.Errorf("dump etcd: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("dump etcd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return nil, fmt.Errorf("dump etcd: %s: %s", response.Status, text)
	}
	var all struct { // etcdserverpb.RangeResponse
		KVs []struct{ Key, Value []byte }
	}
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("dump etcd: %w", err)
	}
	values := make(map[string][]byte, len(all.KVs))
	for _, kv := range all.KVs {
		values[string(kv.Key)] = kv.Value
	}
	return values, nil
}
