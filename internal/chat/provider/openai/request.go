package openai

import (
	"encoding/json"
	"errors"
	"math"

	openai "github.com/sashabaranov/go-openai"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// empty stands for a message without a text, which the library would send
// without a content and endpoints refuse.
const empty = "(empty)"

// translate writes a request as the library wants it.
func translate(r provider.Request) openai.ChatCompletionRequest {
	req := openai.ChatCompletionRequest{
		Model: r.Model, User: r.User,
		StreamOptions: &openai.StreamOptions{IncludeUsage: true},
	}
	if r.System != "" {
		req.Messages = append(req.Messages, openai.ChatCompletionMessage{Role: openai.ChatMessageRoleSystem, Content: r.System})
	}
	for _, m := range r.Messages {
		req.Messages = append(req.Messages, translateMessage(m))
	}
	for _, t := range r.Tools {
		parameters := t.Parameters
		if len(parameters) == 0 {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		req.Tools = append(req.Tools, openai.Tool{Type: openai.ToolTypeFunction, Function: &openai.FunctionDefinition{
			Name: t.Name, Description: t.Description, Parameters: parameters,
		}})
	}
	if t := r.Temperature; t != nil {
		// The library leaves out a 0, which would be the default of the model.
		req.Temperature = max(float32(*t), math.SmallestNonzeroFloat32)
	}
	return limit(req, r.MaxTokens)
}

// limit sets the limit of tokens under its old name, the one that servers know,
// unless the model wants the new one. The library knows those models.
func limit(req openai.ChatCompletionRequest, tokens int) openai.ChatCompletionRequest {
	limited := req
	//lint:ignore SA1019 most servers that are not OpenAI's know only this
	limited.MaxTokens = tokens
	if errors.Is(openai.NewReasoningValidator().Validate(limited), openai.ErrReasoningModelMaxTokensDeprecated) {
		req.MaxCompletionTokens = tokens
		return req
	}
	return limited
}

func translateMessage(m provider.Message) openai.ChatCompletionMessage {
	out := openai.ChatCompletionMessage{Role: string(m.Role), Content: m.Text, ToolCallID: m.ToolCallID}
	for _, c := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, openai.ToolCall{
			ID: c.ID, Type: openai.ToolTypeFunction, Function: openai.FunctionCall{Name: c.Name, Arguments: string(c.Arguments)},
		})
	}
	if m.Text == "" && len(m.ToolCalls) == 0 {
		out.Content = empty
	}
	return out
}

// refused reports why the library does not send a request for a model; its texts
// are constants.
func refused(req openai.ChatCompletionRequest) error {
	if err := openai.NewReasoningValidator().Validate(req); err != nil {
		return &provider.Error{Kind: provider.BadRequest, Text: "the request does not suit the language model: " + err.Error()}
	}
	return nil
}
