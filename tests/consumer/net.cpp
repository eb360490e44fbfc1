// A net in C++, and a checkpoint of the same net that Python wrote under other names.
//   net SOURCE SPEC           loads it; prints the report and what forward() gives
//   net SOURCE SPEC --check   the same, where SPEC is refused: the net has to be as it was
#include <regraft/torch.h>
#include <torch/torch.h>

#include <iostream>

struct Net : torch::nn::Module {
  Net() {
    register_module("conv", conv);
    register_module("norm", norm);
    register_module("head", head);
  }
  torch::Tensor forward(torch::Tensor x) {
    x = torch::relu(norm(conv(x)));
    return head(x.mean({2, 3}));
  }
  torch::nn::Conv2d conv{torch::nn::Conv2dOptions(3, 8, 3)};
  torch::nn::BatchNorm2d norm{8};
  torch::nn::Linear head{8, 5};
};

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  torch::set_num_threads(1);
  torch::manual_seed(1);
  Net net;
  net.eval();
  const torch::Tensor x =
      torch::arange(2 * 3 * 6 * 6).to(torch::kFloat).div(64).reshape({2, 3, 6, 6});
  const torch::Tensor before = net.forward(x);

  const regraft::MigrationReport report =
      regraft::load_state_dict(net, argv[1], regraft::MigrationSpec::from_file(argv[2]));
  std::cout << report.text();
  const torch::Tensor after = net.forward(x).detach();
  if (argc > 3) {
    std::cout << (torch::equal(before, after) ? "unchanged" : "CHANGED") << "\n";
    return report.exit_status();
  }
  if (!net.conv->weight.requires_grad() || torch::get_num_threads() != 1) return 4;
  for (const std::string& key : report.missing_keys()) std::cout << "missing " << key << "\n";
  for (const std::string& key : report.unexpected_keys()) std::cout << "unexpected " << key << "\n";
  std::cout << "outputs" << std::hexfloat;
  for (std::int64_t i = 0; i < after.numel(); ++i)
    std::cout << " " << after.flatten()[i].item<float>();
  std::cout << "\n";
  return report.exit_status();
}
