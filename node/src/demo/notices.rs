//! Sample notices: what hangs on the boards of a township and its villages.

/// Which seat publishes, category, title, text; `@` stands for the village's name.
pub(super) type Text = (Who, &'static str, &'static str, &'static str);

/// Who publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Village,
    Township,
    County,
}

/// Each village publishes its own, so that twenty and more notices hang.
pub(super) const TEXTS: [Text; 14] = [
    (
        Who::Village,
        "村务财务",
        "@第三季度村级财务收支公示",
        "本季度收入 128,640.00 元,支出 96,215.50 元,明细附后,公示期内可向村务监督委员会提出。",
    ),
    (
        Who::Village,
        "社会救助",
        "@低保对象初审结果公示",
        "经村级初审,本批 3 户符合条件,2 户不符合条件。名单按规定仅公示户主姓名,详见公示栏。",
    ),
    (
        Who::Village,
        "土地与宅基地",
        "@宅基地用地申请公示",
        "本村 2 组有 1 户申请使用宅基地 120 平方米,四至已踏勘,有异议请在公示期内提出。",
    ),
    (
        Who::Village,
        "补贴发放",
        "@耕地地力保护补贴面积公示",
        "本年度补贴面积合计 1,862.4 亩,分组面积见公示栏,请各户核对。",
    ),
    (
        Who::Village,
        "项目与招标",
        "@机耕路硬化工程公示",
        "工程长 1.8 公里,预算 36.5 万元,资金来源为财政奖补,施工期 45 天。",
    ),
    (
        Who::Village,
        "评优与推荐",
        "@文明家庭推荐名单公示",
        "经村民代表会议评议,推荐 5 户,公示期 7 天。",
    ),
    (
        Who::Village,
        "通知公告",
        "@城乡居民医保集中缴费通知",
        "集中缴费自本月起至年底,可到村便民服务点办理,请互相转告。",
    ),
    (
        Who::Village,
        "办事结果",
        "@上月代办事项办理情况",
        "上月代办事项全部按时办结,办理情况可在服务点查询。",
    ),
    (
        Who::Township,
        "社会救助",
        "北乡镇临时救助审批结果公示",
        "本月审批临时救助 4 户,救助金额合计 9,600 元。",
    ),
    (
        Who::Township,
        "通知公告",
        "北乡镇便民服务中心冬季办公时间",
        "自十一月起,上午 8:30 至 12:00,下午 2:00 至 5:00。",
    ),
    (
        Who::Township,
        "项目与招标",
        "北乡镇饮水安全巩固提升项目公告",
        "项目覆盖 2 个行政村,计划工期 90 天,欢迎群众监督。",
    ),
    (
        Who::Township,
        "土地与宅基地",
        "北乡镇宅基地审批情况公示",
        "本季度批准宅基地 2 宗,面积合计 240 平方米。",
    ),
    (
        Who::County,
        "通知公告",
        "云麓县关于防范电信诈骗的提醒",
        "任何工作人员不会以办理补贴为由索要银行卡密码或验证码。",
    ),
    (
        Who::County,
        "补贴发放",
        "云麓县农机购置与应用补贴资金公示",
        "本批次补贴资金已拨付,受益户可到所在乡镇查询。",
    ),
];
