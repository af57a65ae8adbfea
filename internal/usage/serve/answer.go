// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"encoding/json"
	"net/http"

	"github.com/hexcovery/apikey-operator/internal/usage"
)

// answer answers one question of a manager.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	var question usage.Question
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, usage.MaxQuestionBytes)).Decode(&question); {
	case err != nil:
		http.Error(w, "the body is not a question: "+err.Error(), http.StatusBadRequest)
		return
	case question.Process != s.config.Process:
		// The process meant had this address before.
		http.Error(w, "another process has this address now", http.StatusConflict)
		return
	}
	s.asked.Store(true)
	// Before the counters are read: after it they stand still.
	finished := s.finished.Load()
	answer := s.config.Table.Answer(&question)
	answer.Process, answer.Final = s.config.Process, finished
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(&answer); err != nil {
		s.config.Log.V(1).Info("could not send an answer about usage", "error", err.Error())
	}
	if question.Taken && finished {
		s.takeOnce.Do(func() { close(s.taken) })
	}
}
